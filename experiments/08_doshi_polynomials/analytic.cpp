#include "experiments/08_doshi_polynomials/analytic.hpp"

#include <cmath>
#include <numbers>

#include "base/random.hpp"
#include "experiments/08_doshi_polynomials/fourier.hpp"

namespace grokscope::doshi {
namespace {

/// The weights on Z_m itself.
AnalyticWeights on_cycle(std::int64_t m, std::int64_t width, std::int64_t terms, std::uint64_t seed) {
  const double turn = 2 * std::numbers::pi;
  auto frequency = at::empty({width}, at::kDouble), phases = at::empty({terms, width}, at::kDouble);
  for (std::int64_t k = 0; k < width; ++k) {
    RandomStream stream(seed, "analytic", 0, static_cast<std::uint64_t>(k));
    frequency[k] = static_cast<double>(1 + stream.below(static_cast<std::uint64_t>((m - 1) / 2)));
    for (std::int64_t s = 0; s < terms; ++s) phases[s][k] = turn * stream.uniform();
  }
  const auto angle = turn / static_cast<double>(m) * at::outer(at::arange(m, at::kDouble), frequency);
  const double amplitude = analytic_amplitude(width, terms);
  AnalyticWeights weights;
  for (std::int64_t s = 0; s < terms; ++s) weights.inputs.push_back(amplitude * at::cos(angle + phases[s]));
  weights.output = amplitude * at::cos(-angle - phases.sum(0));
  return weights;
}

}  // namespace

double analytic_amplitude(std::int64_t width, std::int64_t terms) {
  const auto s = static_cast<double>(terms);
  return std::pow(std::pow(2, s) / (static_cast<double>(width) * std::tgamma(s + 1)), 1 / (s + 1));
}

AnalyticWeights analytic_sum(std::int64_t p, std::int64_t width, std::int64_t terms, std::uint64_t seed) {
  return on_cycle(p, width, terms, seed);
}

AnalyticWeights analytic_product(std::int64_t p, std::int64_t width, std::uint64_t seed) {
  auto weights = on_cycle(p - 1, width, 2, seed);
  const auto powers = powers_of_primitive_root(p);
  const auto by_residue = [&](const at::Tensor& by_logarithm) {
    return at::zeros({p, width}, at::kDouble).index_copy(0, powers, by_logarithm);
  };
  for (auto& u : weights.inputs) u = by_residue(u);
  weights.output = by_residue(weights.output);
  return weights;
}

}  // namespace grokscope::doshi
