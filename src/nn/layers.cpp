#include "nn/layers.hpp"

#include "base/error.hpp"

namespace grokscope {

at::Tensor linear(const at::Tensor& x, const Parameter& weight, const Parameter* bias, Tape& tape) {
  const auto rows = x.dim() == 2 ? x : x.reshape({-1, x.size(-1)});
  auto y = bias ? at::addmm(bias->value, rows, weight.value.t()) : at::mm(rows, weight.value.t());
  if (x.dim() == 3) y = y.view({x.size(0), x.size(1), weight.rows()});
  tape.record_linear(weight, bias, x, y);
  return y;
}

at::Tensor layer_norm(const at::Tensor& x, const Parameter& gain, const Parameter& bias, Tape& tape) {
  constexpr double kEpsilon = 1e-5;
  const auto d = x.size(-1);
  const auto y = at::layer_norm(x, {d}, gain.value, bias.value, kEpsilon);
  if (!tape.is_active()) return y;
  const auto slot = tape.observe(y);
  const auto sum_tokens = [](const at::Tensor& t) { return t.dim() == 3 ? t.sum(1) : t; };
  tape.record(gain, [=, input = x.detach()](const Tape::Gradients& b) {
    const auto xhat = at::layer_norm(input, {d}, {}, {}, kEpsilon);
    return Use{Factor::dense(sum_tokens(b[slot] * xhat)), Factor::one()};
  });
  tape.record(bias, [=](const Tape::Gradients& b) { return Use{Factor::dense(sum_tokens(b[slot])), Factor::one()}; });
  return y;
}

at::Tensor sinusoid_positions(std::int64_t positions, std::int64_t d) {
  const auto t = at::arange(positions, at::kDouble).unsqueeze(1);
  const auto even = at::arange(d, at::kLong).div(2, "floor").mul(2).to(at::kDouble);  // k, or k - 1 for odd k
  const auto angle = t * at::pow(10000.0, -even / static_cast<double>(d));
  const auto is_odd = at::arange(d, at::kLong).remainder(2).to(at::kBool);
  return at::where(is_odd, at::cos(angle), at::sin(angle));
}

const std::vector<std::string>& activations() {
  static const std::vector<std::string> names{"identity", "relu", "tanh", "gelu", "gelu_tanh"};
  return names;
}

at::Tensor activate(const at::Tensor& x, const std::string& name) {
  if (name == "identity") return x;
  if (name == "relu") return at::relu(x);
  if (name == "tanh") return at::tanh(x);
  if (name == "gelu") return at::gelu(x);
  if (name == "gelu_tanh") return at::gelu(x, "tanh");
  throw InternalError("unknown activation " + name);
}

}  // namespace grokscope
