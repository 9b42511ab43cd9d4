// When must a linear student memorise, and when generalise? (Levi et al. 2023, sections 3 and 4)
// Gradient descent moves the error D = S - T along each eigenvector of Sigma = X^T X / N on its own, so the losses of every
// step are known in closed form, for this very draw (discrete) and in the limit of large d (Marchenko-Pastur).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace grokscope::levi {

/// The losses L_tr(t), L_gen(t) of gradient descent, direction by direction.
struct Dynamics {
  std::vector<double> nu;         ///< eigenvalues of Sigma, all d_in of them
  std::vector<double> error;      ///< D's components squared and summed over outputs, at t = 0
  std::vector<double> cross;      ///< the same for D0 . T; only decay needs it
  std::vector<double> teacher;    ///< T's components squared and summed over outputs; only decay needs it
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

struct Times {
  double train = 0;  ///< first step with L_tr <= threshold, NaN when not within `last`
  double test = 0;
};

/// Scans steps 0..last.
Times crossing_times(const Dynamics& dynamics, double threshold, std::int64_t last);

/// L_tr = E[nu e^(-4 lr nu t / d_out)] / d_out, L_gen = E[e^(-4 lr nu t / d_out)] / d_out (Eq. 6-8, 13), no decay.
Dynamics::Losses marchenko_pastur_losses(double lambda, double lr, double d_out, double t);

/// The same crossings in the limit; NaN where the loss never gets there (lambda >= 1).
Times marchenko_pastur_times(double lambda, double lr, double d_out, double threshold, std::int64_t last);

/// Largest difference between the empirical distribution function of `nu` (non-zero part) and Marchenko-Pastur's.
double distance_to_marchenko_pastur(std::span<const double> nu, double lambda);

}  // namespace grokscope::levi
