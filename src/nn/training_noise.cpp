#include "nn/training_noise.hpp"

#include "base/error.hpp"
#include "base/random.hpp"

namespace grokscope {

at::Tensor TrainingNoise::dropout(const at::Tensor& x, double rate, const std::string& place) const {
  if (!is_active_ || rate == 0) return x;
  require(rate > 0 && rate < 1 && x.size(0) == ids_.size(0), "dropout needs a rate in [0, 1) and an id an example");
  const auto n = x.size(0);
  auto mask = at::empty(x.sizes(), at::kFloat);
  const auto each = n == 0 ? 0 : mask.numel() / n;
  const auto ids = ids_.to(at::kCPU).contiguous();
  const auto* id = ids.data_ptr<std::int64_t>();
  auto* kept = mask.data_ptr<float>();
  const auto threshold = static_cast<std::uint32_t>(rate * 0x1p32);
  for (std::int64_t i = 0; i < n; ++i) {
    RandomStream stream(seed_, "dropout/" + place, static_cast<std::uint64_t>(step_), static_cast<std::uint64_t>(id[i]));
    for (std::int64_t k = 0; k < each; ++k) *kept++ = stream.next_u32() >= threshold ? 1.0F : 0.0F;
  }
  return x * mask.to(x.options().requires_grad(false)) * (1 / (1 - rate));
}

}  // namespace grokscope
