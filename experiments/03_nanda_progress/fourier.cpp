#include "experiments/03_nanda_progress/fourier.hpp"

#include <cmath>
#include <limits>
#include <numbers>

namespace grokscope::nanda {

std::int64_t frequency_count(std::int64_t p) {
  return (p - 1) / 2;
}

at::Tensor fourier_basis(std::int64_t p) {
  const auto x = at::arange(p, at::kDouble);
  const auto n = static_cast<double>(p);
  std::vector<at::Tensor> rows{at::full({p}, 1 / std::sqrt(n), at::kDouble)};
  for (std::int64_t k = 1; k <= frequency_count(p); ++k) {
    const auto angle = 2 * std::numbers::pi / n * at::remainder(static_cast<double>(k) * x, n);
    rows.push_back(std::sqrt(2 / n) * at::cos(angle));
    rows.push_back(std::sqrt(2 / n) * at::sin(angle));
  }
  if (p % 2 == 0) rows.push_back((1 - 2 * at::remainder(x, 2.0)) / std::sqrt(n));
  return at::stack(rows);
}

at::Tensor component_norms(const at::Tensor& table) {
  const auto values = table.detach().to(at::kCPU, at::kDouble);
  return at::mm(values, fourier_basis(values.size(1)).t()).square().sum(0).sqrt();
}

at::Tensor frequency_norms(const at::Tensor& table) {
  const auto waves = 2 * frequency_count(table.size(1));
  return component_norms(table).slice(0, 1, 1 + waves).view({-1, 2}).square().sum(1).sqrt();
}

double gini(const at::Tensor& values) {
  const auto n = values.numel();
  const auto sorted = std::get<0>(values.to(at::kDouble).sort());
  const double total = sorted.sum().item<double>();
  if (total == 0) return std::numeric_limits<double>::quiet_NaN();
  const auto weight = 2 * at::arange(1, n + 1, at::kDouble) - static_cast<double>(n + 1);
  return weight.dot(sorted).item<double>() / (static_cast<double>(n) * total);
}

std::vector<std::int64_t> key_frequencies(const at::Tensor& norms, const at::Tensor& other_norms) {
  std::vector<std::int64_t> keys;
  if (norms.numel() == 0) return keys;
  const auto stands_out = [](const at::Tensor& x) { return (x > x.max() / 4) & (x > 2 * x.median()); };
  const auto is_key = stands_out(norms) & stands_out(other_norms);
  for (std::int64_t k = 0; k < is_key.numel(); ++k) {
    if (is_key[k].item<bool>()) keys.push_back(k + 1);
  }
  return keys;
}

}  // namespace grokscope::nanda
