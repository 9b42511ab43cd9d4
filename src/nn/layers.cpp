#include "nn/layers.hpp"

#include "base/error.hpp"

namespace grokscope {

at::Tensor linear(const at::Tensor& x, const Parameter& weight, const Parameter* bias, Tape& tape) {
  auto y = bias ? at::addmm(bias->value, x, weight.value.t()) : at::mm(x, weight.value.t());
  tape.record_linear(weight, bias, x, y);
  return y;
}

const std::vector<std::string>& activations() {
  static const std::vector<std::string> names{"identity", "relu", "tanh"};
  return names;
}

at::Tensor activate(const at::Tensor& x, const std::string& name) {
  if (name == "identity") return x;
  if (name == "relu") return at::relu(x);
  if (name == "tanh") return at::tanh(x);
  throw InternalError("unknown activation " + name);
}

}  // namespace grokscope
