#include "nn/pass.hpp"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "base/error.hpp"
#include "nn/explicit_tap.hpp"

namespace grokscope {

Pass backward_pass(const Model& model, const Loss& loss, const at::Tensor& inputs, const at::Tensor& targets,
                   Taping taping, const TrainingNoise& noise) {
  require(taping == Taping::off || !noise.is_active(), "a pass with noise has no taps");
  at::AutoGradMode with_gradients(true);
  auto tape = taping == Taping::on ? Tape::active() : Tape::inactive();
  const auto outputs = noise.is_active() ? model.forward_with_noise(inputs, noise) : model.forward(inputs, tape);
  const auto losses = loss.per_example(outputs, targets);

  auto wanted = model.parameters.tensors();
  const auto parameter_count = wanted.size();
  wanted.insert(wanted.end(), tape.observed().begin(), tape.observed().end());
  // Of their sum, which as a node of its own would cost a small model a hundredth of its step.
  auto gradients = torch::autograd::grad({losses}, wanted, {at::ones_like(losses)}, /*retain_graph=*/false,
                                         /*create_graph=*/false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(wanted[i]);
  }

  at::NoGradGuard no_grad;
  Pass pass;
  pass.loss_sum = losses.detach().sum(at::kDouble).item<double>();
  pass.outputs = outputs.detach();
  const auto split = gradients.begin() + static_cast<std::ptrdiff_t>(parameter_count);
  pass.gradients.assign(gradients.begin(), split);
  if (tape.is_active()) {
    pass.taps = tape.build(inputs.size(0), Tape::Gradients(split, gradients.end()));
    add_explicit_taps(model, loss, inputs, targets, pass.taps);
    std::int64_t taped = 0;
    for (const auto& tap : pass.taps.taps) taped += tap.size();
    require(taped == model.parameters.total(), "the taps do not cover every parameter once");
  }
  return pass;
}

Score evaluate(const Model& model, const Loss& loss, const at::Tensor& inputs, const at::Tensor& targets,
               std::int64_t chunk) {
  at::NoGradGuard no_grad;
  Score score;
  auto tape = Tape::inactive();
  for (std::int64_t begin = 0; begin < inputs.size(0); begin += chunk) {
    const auto end = std::min(begin + chunk, inputs.size(0));
    const auto wanted = targets.slice(0, begin, end);
    const auto outputs = model.forward(inputs.slice(0, begin, end), tape);
    score.loss_sum += loss.per_example(outputs, wanted).to(at::kDouble).sum().item<double>();
    score.correct += loss.correct(outputs, wanted).sum().item<std::int64_t>();
  }
  return score;
}

}  // namespace grokscope
