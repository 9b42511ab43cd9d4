#include "nn/explicit_tap.hpp"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

namespace grokscope {
namespace {

std::vector<const Parameter*> parameters_without_tap(const ParameterSet& parameters, const Taps& taps) {
  std::vector<const Parameter*> result;
  for (const auto& p : parameters.all()) {
    const bool has_tap = std::any_of(taps.taps.begin(), taps.taps.end(), [&](const Tap& tap) {
      return tap.offset <= p.offset && p.offset < tap.offset + tap.size();
    });
    if (!has_tap) result.push_back(&p);
  }
  return result;
}

}  // namespace

void add_explicit_taps(const Model& model, const Loss& loss, const at::Tensor& inputs, const at::Tensor& targets,
                       Taps& taps) {
  const auto missing = parameters_without_tap(model.parameters, taps);
  if (missing.empty()) return;
  at::AutoGradMode with_gradients(true);
  std::vector<at::Tensor> wanted, gradients;
  for (const auto* p : missing) {
    wanted.push_back(p->value);
    gradients.push_back(at::zeros({taps.n, p->size()}, p->value.options().requires_grad(false)));
  }
  for (std::int64_t i = 0; i < taps.n; ++i) {
    auto tape = Tape::inactive();
    const auto outputs = model.forward(inputs.slice(0, i, i + 1), tape);
    const auto value = loss.per_example(outputs, targets.slice(0, i, i + 1)).sum();
    const auto of_example = torch::autograd::grad({value}, wanted, {}, false, false, /*allow_unused=*/true);
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      if (of_example[k].defined()) gradients[k][i].copy_(of_example[k].reshape({-1}));
    }
  }
  for (std::size_t k = 0; k < missing.size(); ++k) {
    const auto& p = *missing[k];
    // As a column of `size` rows, whose flat order is that of the parameter.
    taps.taps.push_back({p.name, p.layer, p.offset, p.size(), 1, false, {Use{Factor::dense(gradients[k]), Factor::one()}}, false});
  }
  std::sort(taps.taps.begin(), taps.taps.end(), [](const Tap& a, const Tap& b) { return a.offset < b.offset; });
}

}  // namespace grokscope
