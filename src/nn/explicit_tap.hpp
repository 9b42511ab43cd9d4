// What if nobody has written down how a parameter's gradient factorises?
// Then the gradients of the examples are made one at a time by autograd and held outright. Correct for every model, and
// slow: N small forward and backward passes, and N x size numbers.
#pragma once

#include "nn/loss.hpp"
#include "nn/model.hpp"

namespace grokscope {

/// Adds a tap with explicit gradients for each parameter that `taps` lacks. Local.
void add_explicit_taps(const Model& model, const Loss& loss, const at::Tensor& inputs, const at::Tensor& targets,
                       Taps& taps);

}  // namespace grokscope
