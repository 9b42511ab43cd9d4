// What is a model to the rest of grokscope?
#pragma once

#include "nn/parameters.hpp"
#include "nn/tape.hpp"
#include "nn/training_noise.hpp"

namespace grokscope {

/// A differentiable function of its parameters that can say, on a tape, how each of them was used. Examples must not
/// interact (no batch normalisation): the per-example gradient would not exist.
class Model {
 public:
  virtual ~Model() = default;

  /// Outputs [n, d_out] for inputs [n, ...]: for sequences only at the tokens that the loss reads. Every parameter that
  /// the outputs depend on should be recorded when the tape is active; one that is not costs a backward pass an example.
  virtual at::Tensor forward(const at::Tensor& inputs, Tape& tape) const = 0;

  /// True when training draws random numbers (dropout); forward() never does.
  virtual bool is_stochastic() const { return false; }
  /// The outputs of a training step of a stochastic model. The others never see it.
  virtual at::Tensor forward_with_noise(const at::Tensor& inputs, const TrainingNoise&) const {
    auto tape = Tape::inactive();
    return forward(inputs, tape);
  }

  ParameterSet parameters;
};

}  // namespace grokscope
