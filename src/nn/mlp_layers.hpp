// What do the layers of a fully connected network compute?
// A model may hold them behind other parameters (an embedding): they know where theirs begin.
#pragma once

#include <string>
#include <vector>

#include "nn/parameters.hpp"
#include "nn/tape.hpp"

namespace grokscope {

struct MlpShape {
  std::vector<std::int64_t> widths;  ///< input, hidden..., output
  std::string activation = "relu";
  bool bias = true;
};

class MlpLayers {
 public:
  /// Appends "<prefix>.<l>.weight" and "<prefix>.<l>.bias" to `parameters`, layer by layer, from U(+-1/sqrt(fan_in)),
  /// PyTorch's default for a linear layer.
  MlpLayers(MlpShape shape, const std::string& prefix, std::uint64_t seed, ParameterSet& parameters);

  /// [n, widths.back()] for x [n, widths.front()]; no activation behind the last layer.
  at::Tensor forward(const at::Tensor& x, const ParameterSet& parameters, Tape& tape) const;

  /// What enters the last layer, [n, widths[depth - 1]].
  at::Tensor features(const at::Tensor& x, const ParameterSet& parameters, Tape& tape) const;

  const Parameter& last_weight(const ParameterSet& parameters) const { return parameters[weight_index(depth() - 1)]; }

 private:
  std::size_t depth() const { return shape_.widths.size() - 1; }
  std::size_t weight_index(std::size_t layer) const { return first_ + layer * (shape_.bias ? 2 : 1); }
  at::Tensor apply(std::size_t layer, const at::Tensor& x, const ParameterSet& parameters, Tape& tape) const;

  MlpShape shape_;
  std::size_t first_;
};

}  // namespace grokscope
