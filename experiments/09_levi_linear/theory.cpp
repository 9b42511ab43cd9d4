#include "experiments/09_levi_linear/theory.hpp"

#include <ATen/ATen.h>

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

/// E over the Marchenko-Pastur law of ratio lambda of g(nu), without the mass at zero that it has for lambda
/// > 1; by the trapezoidal rule in the angle, where it converges exponentially.
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

Dynamics::Losses Limit::at(double t) const {
  const auto square = [&](double nu) {  // of D along one direction, times d_in
    const double rate = 2 * nu / d_out + weight_decay;
    const double a = std::exp(-lr * rate * t), r = weight_decay > 0 ? weight_decay / rate : 0;
    // On average D0 . D0 = (1 + alpha^2) / 2, T . T = 1/2 and D0 . T = -1/2.
    return a * a * (1 + init_scale * init_scale) / 2 + (1 - a) * (1 - a) * r * r / 2 + a * (1 - a) * r;
  };
  const double at_zero = lambda > 1 ? (1 - 1 / lambda) * square(0) : 0;
  return {marchenko_pastur_mean(lambda, [&](double nu) { return nu * square(nu); }) / d_out,
          (at_zero + marchenko_pastur_mean(lambda, square)) / d_out};
}

Times crossing_times(const Limit& limit, double threshold, std::int64_t last) {
  // Both losses only fall, with decay too: each square() grows with a, and a falls.
  return {first_true(last, [&](double t) { return limit.at(t).train <= threshold; }),
          first_true(last, [&](double t) { return limit.at(t).test <= threshold; })};
}

double accuracy_at_loss(double loss, double eps, double d_out) {
  const auto half = at::scalar_tensor(d_out / 2, at::kDouble);
  return at::special_gammainc(half, at::scalar_tensor(d_out * eps / (2 * loss), at::kDouble)).item<double>();
}

double threshold_loss(double eps, double d_out) {
  const double wanted = std::erf(std::numbers::sqrt2);
  double low = 0, high = 1;  // of eps / (4 L), which is 1 for one output and less for more
  for (int k = 0; k < 100; ++k) {
    const double middle = (low + high) / 2;
    (accuracy_at_loss(eps / (4 * middle), eps, d_out) < wanted ? low : high) = middle;
  }
  return eps / (4 * high);
}

double leading_order_delay(double lambda, double lr) {
  const double edge = 1 - std::sqrt(lambda);
  return std::log(1 / edge) / (2 * lr * edge * edge);
}

double marchenko_pastur_density(double lambda, double nu) {
  const double low = std::pow(1 - std::sqrt(lambda), 2), high = std::pow(1 + std::sqrt(lambda), 2);
  if (nu <= low || nu >= high) return 0;
  return std::sqrt((high - nu) * (nu - low)) / (2 * std::numbers::pi * lambda * nu);
}

double marchenko_pastur_moment(double lambda, int k) {
  double sum = 0, term = 1;  // lambda^r / (r + 1) binom(k, r) binom(k - 1, r)
  for (int r = 0; r < k; ++r) {
    sum += term;
    term *= lambda * (k - r) * (k - 1 - r) / ((r + 1.0) * (r + 2.0));
  }
  return sum;
}

double distance_to_marchenko_pastur(std::span<const double> nu, double lambda) {
  std::vector<double> sorted(nu.begin(), nu.end());
  std::sort(sorted.begin(), sorted.end());
  const double zero_mass = lambda > 1 ? 1 - 1 / lambda : 0;
  const auto n = static_cast<double>(sorted.size());
  double worst = 0;
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    if (sorted[k] < 1e-10) continue;
    const double expected =
        zero_mass + marchenko_pastur_mean(lambda, [&](double x) { return x <= sorted[k] ? 1.0 : 0.0; });
    worst = std::max({worst, std::abs(expected - static_cast<double>(k) / n),
                      std::abs(expected - static_cast<double>(k + 1) / n)});
  }
  return worst;
}

std::vector<double> empirical_density(std::span<const double> nu, double low, double high, std::size_t bins) {
  std::vector<double> density(bins);
  const double width = (high - low) / static_cast<double>(bins);
  for (const double x : nu) {
    if (x >= low && x < high) density[std::min(bins - 1, static_cast<std::size_t>((x - low) / width))] += 1;
  }
  for (auto& cell : density) cell /= static_cast<double>(nu.size()) * width;
  return density;
}

}  // namespace grokscope::levi
