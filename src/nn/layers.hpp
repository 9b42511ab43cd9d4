// Which building blocks do several models share?
#pragma once

#include <string>

#include "nn/parameters.hpp"
#include "nn/tape.hpp"

namespace grokscope {

/// x W^T + b, recorded. `bias` may be null.
at::Tensor linear(const at::Tensor& x, const Parameter& weight, const Parameter* bias, Tape& tape);

/// Names that activate() knows: identity, relu, tanh.
const std::vector<std::string>& activations();
at::Tensor activate(const at::Tensor& x, const std::string& name);

}  // namespace grokscope
