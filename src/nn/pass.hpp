// What does one backward pass over a batch give?
// The training step and the tracker share this pass: the same graph with or without a tape, so that looking changes nothing.
#pragma once

#include "nn/loss.hpp"
#include "nn/model.hpp"

namespace grokscope {

struct Pass {
  double loss_sum = 0;                 ///< sum over examples of loss_i
  at::Tensor outputs;                  ///< of the model, one row an example; what Loss::correct() asks for
  std::vector<at::Tensor> gradients;   ///< d(loss_sum)/d(parameter), one per parameter, in the parameters' type
  Taps taps;                           ///< filled when the tape was wanted
};

enum class Taping { off, on };

/// One forward and one backward pass of the unreduced summed loss over the examples. An empty batch gives zeros. A
/// parameter that the forward pass did not record gets explicit gradients. Taping and noise exclude each other: the
/// gradient of an example is a function of the parameters. Local.
Pass backward_pass(const Model& model, const Loss& loss, const at::Tensor& inputs, const at::Tensor& targets,
                   Taping taping, const TrainingNoise& noise = TrainingNoise::none());

/// Loss sum and number of correct answers, without gradients, `chunk` examples at a time. Local.
struct Score {
  double loss_sum = 0;
  std::int64_t correct = 0;
};
Score evaluate(const Model& model, const Loss& loss, const at::Tensor& inputs, const at::Tensor& targets,
               std::int64_t chunk = 4096);

}  // namespace grokscope
