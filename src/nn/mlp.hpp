// Fully connected network with one activation between its layers (papers 05, 06, 07, and the two-layer models of 09).
#pragma once

#include "nn/mlp_layers.hpp"
#include "nn/model.hpp"

namespace grokscope {

class Mlp : public Model {
 public:
  /// The initial values of MlpLayers, all times `init_scale`.
  Mlp(MlpShape shape, double init_scale, std::uint64_t seed);
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override;

  /// What enters the last layer, [n, width], without gradients.
  at::Tensor features(const at::Tensor& inputs) const;
  /// W of the last layer, [d_out, width].
  const Parameter& last_weight() const { return layers_.last_weight(parameters); }

 private:
  MlpLayers layers_;
};

}  // namespace grokscope
