// When must a linear student memorise, and when generalise? (Levi et al. 2023, sections 3 and 4)
// Gradient descent moves the error D = S - T along each eigenvector of Sigma = X^T X / N on its own, so the
// losses of every step are known in closed form, for this very draw (discrete) and in the limit of large d
// (Marchenko-Pastur).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace grokscope::levi {

/// The losses L_tr(t), L_gen(t) of gradient descent, direction by direction.
struct Dynamics {
  std::vector<double> nu;       ///< eigenvalues of Sigma, all d_in of them
  std::vector<double> error;    ///< D's components squared and summed over outputs, at t = 0
  std::vector<double> cross;    ///< the same for D0 . T; only decay needs it
  std::vector<double> teacher;  ///< T's components squared and summed over outputs; only decay needs it
  double lr = 0.01;
  double weight_decay = 0;
  double d_out = 1;

  struct Losses {
    double train = 0;
    double test = 0;
  };
  /// D <- (1 - 2 lr nu / d_out - lr gamma) D - lr gamma T, iterated t times exactly.
  Losses at(double t) const;
};

/// The same losses in the limit of large d_in and N at lambda = d_in / N, in continuous time and averaged
/// over students and teachers: expectations over the Marchenko-Pastur law of ratio lambda (Eq. 6-8; with
/// decay Eq. 15).
struct Limit {
  double lambda = 0.9;
  double lr = 0.01;
  double weight_decay = 0;
  double d_out = 1;
  double init_scale = 1;  ///< alpha: |D0|^2 is (1 + alpha^2) / 2 on average

  Dynamics::Losses at(double t) const;
};

struct Times {
  double train = 0;  ///< first step with L_tr <= threshold, NaN when not within `last`
  double test = 0;
};

/// Scans steps 0..last.
Times crossing_times(const Dynamics& dynamics, double threshold, std::int64_t last);
Times crossing_times(const Limit& limit, double threshold, std::int64_t last);

/// The share of examples with mean squared error below eps when the loss is L and errors are Gaussian,
/// independent over the d_out outputs: 1 - Gamma(d/2, d eps / (2 L)) / Gamma(d/2), Erf(sqrt(eps / (2 L))) for
/// d = 1 (Eq. 10 and 13).
double accuracy_at_loss(double loss, double eps, double d_out);

/// The loss at which that share is Erf(sqrt(2)) = .9545: eps / 4 for one output.
double threshold_loss(double eps, double d_out);

/// Leading-order delay ln(1 / (1 - sqrt(lambda))) / (2 lr (1 - sqrt(lambda))^2) for eps -> 0 (Eq. 12), lambda
/// < 1.
double leading_order_delay(double lambda, double lr);

/// Marchenko-Pastur density of ratio lambda at nu, without the mass 1 - 1/lambda at 0 that it has for lambda
/// > 1.
double marchenko_pastur_density(double lambda, double nu);

/// Its k-th moment, k >= 1: sum over r < k of lambda^r / (r + 1) binom(k, r) binom(k - 1, r).
double marchenko_pastur_moment(double lambda, int k);

/// Largest difference between the empirical distribution function of `nu` (non-zero part) and
/// Marchenko-Pastur's.
double distance_to_marchenko_pastur(std::span<const double> nu, double lambda);

/// Share of `nu` in each of `bins` equal cells of [low, high), divided by the width of a cell.
std::vector<double> empirical_density(std::span<const double> nu, double low, double high, std::size_t bins);

}  // namespace grokscope::levi
