#include "nn/input_gradient.hpp"

#include <torch/csrc/autograd/autograd.h>

namespace grokscope {

InputGradient input_gradient(const Model& model, const at::Tensor& inputs,
                             const std::function<at::Tensor(const at::Tensor& outputs)>& loss) {
  at::AutoGradMode with_gradients(true);
  const auto x = inputs.detach().requires_grad_(true);
  auto tape = Tape::inactive();
  const auto outputs = model.forward(x, tape);
  const auto gradient = torch::autograd::grad({loss(outputs).sum()}, {x}).front();
  return {outputs.detach(), gradient};
}

}  // namespace grokscope
