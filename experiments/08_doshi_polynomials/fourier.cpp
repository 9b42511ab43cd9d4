#include "experiments/08_doshi_polynomials/fourier.hpp"

#include <numbers>

#include "data/modular_arithmetic.hpp"

namespace grokscope::doshi {

at::Tensor inverse_participation_ratio(const at::Tensor& table) {
  const auto u = table.detach().to(at::kCPU, at::kDouble);
  const auto n = u.size(0);
  const auto frequency = at::arange(n / 2 + 1, at::kDouble).unsqueeze(1);
  const auto angle =
      2 * std::numbers::pi / static_cast<double>(n) * frequency * at::arange(n, at::kDouble).unsqueeze(0);
  const auto power = at::mm(at::cos(angle), u).square() + at::mm(at::sin(angle), u).square();  // |F u|^2
  return power.square().sum(0) / power.sum(0).square();
}

at::Tensor powers_of_primitive_root(std::int64_t p) {
  const auto root = primitive_root(p);
  auto powers = at::empty({p - 1}, at::kLong);
  std::int64_t power = 1;
  for (std::int64_t k = 0; k < p - 1; ++k, power = power * root % p) powers[k] = power;
  return powers;
}

at::Tensor in_order_of_logarithm(const at::Tensor& table, std::int64_t p) {
  return table.detach().to(at::kCPU).index_select(0, powers_of_primitive_root(p));
}

}  // namespace grokscope::doshi
