#include "experiments/06_humayun_deep/attack.hpp"

#include <limits>

#include "base/random.hpp"
#include "nn/input_gradient.hpp"

namespace grokscope::humayun {
namespace {

/// The nearest point to x in the ball around the clean image and in [0, 1].
at::Tensor project(const at::Tensor& x, const at::Tensor& clean, double radius) {
  return at::clamp(at::max(at::min(x, clean + radius), clean - radius), 0, 1);
}

}  // namespace

at::Tensor cross_entropy_attack(const at::Tensor& outputs, const at::Tensor& targets) {
  return -at::log_softmax(outputs, 1).gather(1, targets.unsqueeze(1)).squeeze(1);
}

at::Tensor margin_attack(const at::Tensor& outputs, const at::Tensor& targets) {
  const auto column = targets.unsqueeze(1);
  const auto others = outputs.scatter(1, column, -std::numeric_limits<double>::infinity());
  return at::amax(others, 1) - outputs.gather(1, column).squeeze(1);
}

Images Images::rows(std::int64_t begin, std::int64_t end) const {
  return {inputs.slice(0, begin, end), targets.slice(0, begin, end)};
}

at::Tensor wrong(const Model& model, const at::Tensor& inputs, const at::Tensor& targets) {
  at::NoGradGuard no_grad;
  auto tape = Tape::inactive();
  return model.forward(inputs, tape).argmax(1) != targets;
}

Attacked attack(const Model& model, const Images& images, const at::Tensor& start, double radius, const Ascent& ascent) {
  auto x = project(start, images.inputs, radius);
  auto fooled_ever = at::zeros_like(images.targets, at::kBool);
  for (std::int64_t k = 0; k < ascent.steps; ++k) {
    const auto here = input_gradient(model, x, [&](const at::Tensor& z) { return ascent.loss(z, images.targets); });
    fooled_ever = fooled_ever | (here.outputs.argmax(1) != images.targets);
    const double share = ascent.shrinks ? 1 - static_cast<double>(k) / static_cast<double>(ascent.steps) : 1;
    x = project(x + ascent.step * share * here.gradient.sign(), images.inputs, radius);
  }
  const auto fooled = wrong(model, x, images.targets);
  return {x, fooled, fooled_ever | fooled};
}

at::Tensor random_starts(const at::Tensor& ids, std::int64_t d, std::uint64_t seed) {
  const auto id = ids.to(at::kCPU).contiguous();
  auto starts = at::empty({id.size(0), d}, at::kDouble);
  for (std::int64_t i = 0; i < id.size(0); ++i) {
    RandomStream stream(seed, "attack_start", 0, static_cast<std::uint64_t>(id.data_ptr<std::int64_t>()[i]));
    double* row = starts.data_ptr<double>() + i * d;
    for (std::int64_t j = 0; j < d; ++j) row[j] = 2 * stream.uniform() - 1;
  }
  return starts;
}

}  // namespace grokscope::humayun
