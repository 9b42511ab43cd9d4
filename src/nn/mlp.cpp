#include "nn/mlp.hpp"

#include <fmt/format.h>

#include <cmath>

#include "nn/layers.hpp"

namespace grokscope {

Mlp::Mlp(MlpShape shape, double init_scale, std::uint64_t seed) : shape_(std::move(shape)) {
  for (std::size_t l = 0; l + 1 < shape_.widths.size(); ++l) {
    const auto fan_in = shape_.widths[l], fan_out = shape_.widths[l + 1];
    const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
    const auto layer = fmt::format("layers.{}", l);
    const auto weight = layer + ".weight", bias = layer + ".bias";
    parameters.add(weight, layer, uniform_init({fan_out, fan_in}, bound, seed, weight));
    if (shape_.bias) parameters.add(bias, layer, uniform_init({fan_out}, bound, seed, bias));
  }
  parameters.scale(init_scale);
}

at::Tensor Mlp::forward(const at::Tensor& inputs, Tape& tape) const {
  auto x = inputs;
  const std::size_t depth = shape_.widths.size() - 1;
  const std::size_t per_layer = shape_.bias ? 2 : 1;
  for (std::size_t l = 0; l < depth; ++l) {
    const auto* bias = shape_.bias ? &parameters[l * per_layer + 1] : nullptr;
    x = linear(x, parameters[l * per_layer], bias, tape);
    if (l + 1 < depth) x = activate(x, shape_.activation);
  }
  return x;
}

}  // namespace grokscope
