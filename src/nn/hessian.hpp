// How does the gradient change along a direction?
#pragma once

#include "nn/loss.hpp"
#include "nn/model.hpp"

namespace grokscope {

/// H v, where H is the Hessian of the summed loss of these examples with respect to all parameters and v [P] is a
/// direction in the flat vector: d(g . v)/d(theta) by a second backward pass. [P], in the parameters' type. An empty batch
/// gives zeros. Local.
at::Tensor hessian_vector_product(const Model& model, const Loss& loss, const at::Tensor& inputs,
                                  const at::Tensor& targets, const at::Tensor& direction);

}  // namespace grokscope
