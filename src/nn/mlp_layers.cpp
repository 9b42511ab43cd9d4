#include "nn/mlp_layers.hpp"

#include <fmt/format.h>

#include <cmath>

#include "nn/layers.hpp"

namespace grokscope {

MlpLayers::MlpLayers(MlpShape shape, const std::string& prefix, std::uint64_t seed, ParameterSet& parameters)
    : shape_(std::move(shape)), first_(parameters.all().size()) {
  for (std::size_t l = 0; l < depth(); ++l) {
    const auto fan_in = shape_.widths[l], fan_out = shape_.widths[l + 1];
    const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
    const auto layer = fmt::format("{}.{}", prefix, l);
    const auto weight = layer + ".weight", bias = layer + ".bias";
    parameters.add(weight, layer, uniform_init({fan_out, fan_in}, bound, seed, weight));
    if (shape_.bias) parameters.add(bias, layer, uniform_init({fan_out}, bound, seed, bias));
  }
}

at::Tensor MlpLayers::apply(std::size_t layer, const at::Tensor& x, const ParameterSet& parameters, Tape& tape) const {
  const auto* bias = shape_.bias ? &parameters[weight_index(layer) + 1] : nullptr;
  return linear(x, parameters[weight_index(layer)], bias, tape);
}

at::Tensor MlpLayers::features(const at::Tensor& x, const ParameterSet& parameters, Tape& tape) const {
  auto h = x;
  for (std::size_t l = 0; l + 1 < depth(); ++l) h = activate(apply(l, h, parameters, tape), shape_.activation);
  return h;
}

at::Tensor MlpLayers::forward(const at::Tensor& x, const ParameterSet& parameters, Tape& tape) const {
  return apply(depth() - 1, features(x, parameters, tape), parameters, tape);
}

}  // namespace grokscope
