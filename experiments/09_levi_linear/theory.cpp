#include "experiments/09_levi_linear/theory.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace grokscope::levi {
namespace {

constexpr double kNever = std::numeric_limits<double>::quiet_NaN();
constexpr int kAngles = 4000;

/// First integer t in 0..last with falls(t) true, for a predicate that stays true; NaN when there is none.
template <class Predicate>
double first_true(std::int64_t last, Predicate reached) {
  if (!reached(static_cast<double>(last))) return kNever;
  std::int64_t low = -1, high = last;
  while (high - low > 1) {
    const auto middle = low + (high - low) / 2;
    (reached(static_cast<double>(middle)) ? high : low) = middle;
  }
  return static_cast<double>(high);
}

/// E over the Marchenko-Pastur law of ratio lambda of g(nu), without the mass at zero that it has for lambda > 1; by the
/// trapezoidal rule in the angle, where it converges exponentially.
template <class G>
double marchenko_pastur_mean(double lambda, G g) {
  // nu = 1 + lambda + 2 sqrt(lambda) cos(theta) turns density dnu into (2/pi) sin^2(theta) / nu dtheta.
  double sum = 0;
  for (int i = 1; i < kAngles; ++i) {
    const double theta = std::numbers::pi * i / kAngles;
    const double nu = 1 + lambda + 2 * std::sqrt(lambda) * std::cos(theta);
    sum += std::pow(std::sin(theta), 2) / nu * g(nu);
  }
  return 2.0 / kAngles * sum;
}

}  // namespace

Dynamics::Losses Dynamics::at(double t) const {
  Losses losses;
  for (std::size_t k = 0; k < nu.size(); ++k) {
    const double rate = 2 * nu[k] / d_out + weight_decay;
    const double a = std::pow(1 - lr * rate, t);
    double square = a * a * error[k];
    if (weight_decay > 0) {
      // Fixed point -r T with r = gamma / rate: D(t) = a D0 - (1 - a) r T.
      const double r = weight_decay / rate;
      square += (1 - a) * (1 - a) * r * r * teacher[k] - 2 * a * (1 - a) * r * cross[k];
    }
    losses.train += nu[k] * square / d_out;
    losses.test += square / d_out;
  }
  return losses;
}

Times crossing_times(const Dynamics& dynamics, double threshold, std::int64_t last) {
  if (dynamics.weight_decay == 0) {  // both losses only fall
    return {first_true(last, [&](double t) { return dynamics.at(t).train <= threshold; }),
            first_true(last, [&](double t) { return dynamics.at(t).test <= threshold; })};
  }
  Times times{kNever, kNever};
  for (std::int64_t t = 0; t <= last && (std::isnan(times.train) || std::isnan(times.test)); ++t) {
    const auto losses = dynamics.at(static_cast<double>(t));
    if (std::isnan(times.train) && losses.train <= threshold) times.train = static_cast<double>(t);
    if (std::isnan(times.test) && losses.test <= threshold) times.test = static_cast<double>(t);
  }
  return times;
}

Dynamics::Losses marchenko_pastur_losses(double lambda, double lr, double d_out, double t) {
  const auto decay = [&](double nu) { return std::exp(-4 * lr * nu * t / d_out); };
  const double at_zero = lambda > 1 ? 1 - 1 / lambda : 0;
  return {marchenko_pastur_mean(lambda, [&](double nu) { return nu * decay(nu); }) / d_out,
          (at_zero + marchenko_pastur_mean(lambda, decay)) / d_out};
}

Times marchenko_pastur_times(double lambda, double lr, double d_out, double threshold, std::int64_t last) {
  const auto losses = [&](double t) { return marchenko_pastur_losses(lambda, lr, d_out, t); };
  return {first_true(last, [&](double t) { return losses(t).train <= threshold; }),
          first_true(last, [&](double t) { return losses(t).test <= threshold; })};
}

double distance_to_marchenko_pastur(std::span<const double> nu, double lambda) {
  std::vector<double> sorted(nu.begin(), nu.end());
  std::sort(sorted.begin(), sorted.end());
  const double zero_mass = lambda > 1 ? 1 - 1 / lambda : 0;
  const auto n = static_cast<double>(sorted.size());
  double worst = 0;
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    if (sorted[k] < 1e-10) continue;
    const double expected = zero_mass + marchenko_pastur_mean(lambda, [&](double x) { return x <= sorted[k] ? 1.0 : 0.0; });
    worst = std::max({worst, std::abs(expected - static_cast<double>(k) / n), std::abs(expected - static_cast<double>(k + 1) / n)});
  }
  return worst;
}

}  // namespace grokscope::levi
