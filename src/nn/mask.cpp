#include "nn/mask.hpp"

#include "base/error.hpp"

namespace grokscope {

at::Tensor magnitude_mask(const at::Tensor& weights, double keep) {
  require(weights.dim() == 1 && keep >= 0 && keep <= 1, "magnitude_mask needs a flat vector and a share in 0..1");
  const auto magnitude = weights.detach().abs();
  // The double nearest to (1 - .9) 10 lies below 1: a count that is whole up to rounding is whole.
  const auto dropped = static_cast<std::int64_t>((1 - keep) * static_cast<double>(weights.numel()) + 1e-9);
  if (dropped == 0) return at::ones_like(magnitude, at::kBool);
  return magnitude > std::get<0>(magnitude.kthvalue(dropped));
}

double mask_distance(const at::Tensor& a, const at::Tensor& b) {
  require(a.sizes() == b.sizes(), "masks of different sizes");
  const auto common = at::logical_and(a, b).sum().item<std::int64_t>();
  const auto either = at::logical_or(a, b).sum().item<std::int64_t>();
  return either == 0 ? 0 : 1 - static_cast<double>(common) / static_cast<double>(either);
}

}  // namespace grokscope
