#include "nn/training_noise.hpp"

#include <vector>

#include "base/error.hpp"
#include "base/random.hpp"

namespace grokscope {

at::Tensor TrainingNoise::dropout(const at::Tensor& x, double rate, const std::string& place) const {
  if (!is_active_ || rate == 0) return x;
  require(rate > 0 && rate < 1 && x.size(0) == ids_.size(0), "dropout needs a rate in [0, 1) and an id an example");
  const auto n = x.size(0);
  auto mask = at::empty(x.sizes(), at::kFloat);
  std::vector<std::uint32_t> numbers(static_cast<std::size_t>(n == 0 ? 0 : mask.numel() / n));  // of one example
  const auto ids = ids_.to(at::kCPU).contiguous();
  const auto* id = ids.data_ptr<std::int64_t>();
  auto* kept = mask.data_ptr<float>();
  const auto threshold = static_cast<std::uint32_t>(rate * 0x1p32);
  const auto name = "dropout/" + place;
  for (std::int64_t i = 0; i < n; ++i) {
    RandomStream(seed_, name, static_cast<std::uint64_t>(step_), static_cast<std::uint64_t>(id[i])).fill(numbers);
    for (const auto number : numbers) *kept++ = number >= threshold ? 1.0F : 0.0F;
  }
  return x * mask.to(x.options().requires_grad(false)).mul_(1 / (1 - rate));  // one product that autograd must know of
}

}  // namespace grokscope
