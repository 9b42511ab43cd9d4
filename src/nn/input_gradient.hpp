// How do a model's outputs, and a loss of them, change with the inputs?
// Asked by attacks on inputs. The weights are left alone: no gradient of theirs is made.
#pragma once

#include <functional>

#include "nn/model.hpp"

namespace grokscope {

struct InputGradient {
  at::Tensor outputs;   ///< [n, d_out]
  at::Tensor gradient;  ///< d loss_i / d input_i, of the shape of the inputs
};

/// Differentiates `loss`, which maps outputs [n, d_out] to one number an example [n], with respect to floating inputs
/// [n, ...]. Local.
InputGradient input_gradient(const Model& model, const at::Tensor& inputs,
                             const std::function<at::Tensor(const at::Tensor& outputs)>& loss);

}  // namespace grokscope
