#include "experiments/06_humayun_deep/local_complexity.hpp"

#include <array>

namespace grokscope::humayun {
namespace {

constexpr std::int64_t kPortion = 20;  ///< points at once: with 25 directions a batch of 1,000 vertices

}  // namespace

at::Tensor orthonormal_directions(std::int64_t count, std::int64_t d, std::uint64_t seed) {
  const auto gaussian = normal_init({d, count}, 1, seed, "local_complexity_directions");
  return std::get<0>(at::linalg_qr(gaussian)).t().contiguous();
}

at::Tensor local_complexity(const Model& model, const at::Tensor& points, const at::Tensor& directions, double radius) {
  at::NoGradGuard no_grad;
  const auto n = points.size(0), vertices = 2 * directions.size(0);
  const auto offsets = radius * at::cat({directions, -directions});
  auto tape = Tape::active();
  model.forward((points.unsqueeze(1) + offsets).reshape({n * vertices, -1}), tape);
  auto complexity = at::zeros({n}, points.options().dtype(at::kLong));
  for (const auto& before : tape.observed()) {
    const auto positive = (before > 0).view({n, vertices, -1}).sum(1);
    complexity += at::logical_and(positive > 0, positive < vertices).sum(1);
  }
  return complexity;
}

double mean_local_complexity(const Model& model, const at::Tensor& points, const at::Tensor& directions, double radius,
                             const Spread& spread) {
  const auto n = points.size(0);
  const auto mine = spread.share((n + kPortion - 1) / kPortion);
  std::array<double, 1> total{0};
  for (auto portion = mine.begin; portion < mine.end; ++portion) {
    const auto part = points.slice(0, portion * kPortion, std::min((portion + 1) * kPortion, n));
    total[0] += static_cast<double>(local_complexity(model, part, directions, radius).sum().item<std::int64_t>());
  }
  spread.sum(total);
  return total[0] / static_cast<double>(n);
}

}  // namespace grokscope::humayun
