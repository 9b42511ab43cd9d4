// Fully connected network with one activation between its layers (papers 05, 06, 07, and the two-layer models of 09).
#pragma once

#include <string>
#include <vector>

#include "nn/model.hpp"

namespace grokscope {

struct MlpShape {
  std::vector<std::int64_t> widths;  ///< input, hidden..., output
  std::string activation = "relu";
  bool bias = true;
};

class Mlp : public Model {
 public:
  /// Weights and biases start as U(+-1/sqrt(fan_in)), PyTorch's default for a linear layer, all times `init_scale`.
  Mlp(MlpShape shape, double init_scale, std::uint64_t seed);
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override;

 private:
  MlpShape shape_;
};

}  // namespace grokscope
