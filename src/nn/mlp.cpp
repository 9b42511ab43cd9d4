#include "nn/mlp.hpp"

namespace grokscope {

Mlp::Mlp(MlpShape shape, double init_scale, std::uint64_t seed) : layers_(std::move(shape), "layers", seed, parameters) {
  parameters.scale(init_scale);
}

at::Tensor Mlp::forward(const at::Tensor& inputs, Tape& tape) const { return layers_.forward(inputs, parameters, tape); }

at::Tensor Mlp::features(const at::Tensor& inputs) const {
  at::NoGradGuard no_grad;
  auto tape = Tape::inactive();
  return layers_.features(inputs, parameters, tape);
}

}  // namespace grokscope
