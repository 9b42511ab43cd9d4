// What is a model to the rest of grokscope?
#pragma once

#include "nn/parameters.hpp"
#include "nn/tape.hpp"

namespace grokscope {

/// A differentiable function of its parameters that can say, on a tape, how each of them was used. Examples must not
/// interact (no batch normalisation): the per-example gradient would not exist.
class Model {
 public:
  virtual ~Model() = default;

  /// Outputs [n, d_out] for inputs [n, ...]: for sequences only at the tokens that the loss reads. Every parameter that
  /// the outputs depend on must be recorded when the tape is active.
  virtual at::Tensor forward(const at::Tensor& inputs, Tape& tape) const = 0;

  ParameterSet parameters;
};

}  // namespace grokscope
