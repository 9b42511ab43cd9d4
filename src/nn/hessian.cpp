#include "nn/hessian.hpp"

#include <torch/csrc/autograd/autograd.h>

namespace grokscope {
namespace {

/// Gradients of a scalar, zeros where it does not depend on a parameter, as one vector.
at::Tensor flat_gradient(const at::Tensor& scalar, const ParameterSet& parameters, bool differentiable) {
  const auto tensors = parameters.tensors();
  const auto gradients = torch::autograd::grad({scalar}, tensors, {}, /*retain_graph=*/differentiable,
                                               /*create_graph=*/differentiable, /*allow_unused=*/true);
  std::vector<at::Tensor> parts;
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    parts.push_back((gradients[k].defined() ? gradients[k] : at::zeros_like(tensors[k])).reshape({-1}));
  }
  return at::cat(parts);
}

}  // namespace

at::Tensor hessian_vector_product(const Model& model, const Loss& loss, const at::Tensor& inputs,
                                  const at::Tensor& targets, const at::Tensor& direction) {
  if (inputs.size(0) == 0) return at::zeros_like(direction);  // ATen cannot differentiate every empty product twice
  at::AutoGradMode with_gradients(true);
  auto tape = Tape::inactive();
  const auto total = loss.per_example(model.forward(inputs, tape), targets).sum();
  const auto along = flat_gradient(total, model.parameters, true).dot(direction);
  return flat_gradient(along, model.parameters, false).detach();
}

}  // namespace grokscope
