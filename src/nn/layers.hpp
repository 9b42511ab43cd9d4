// Which building blocks do several models share?
#pragma once

#include <string>

#include "nn/parameters.hpp"
#include "nn/tape.hpp"

namespace grokscope {

/// x W^T + b for x [n, d_in] or [n, T, d_in], recorded. `bias` may be null.
at::Tensor linear(const at::Tensor& x, const Parameter& weight, const Parameter* bias, Tape& tape);

/// gain o xhat + bias over the last dimension, xhat = (x - mean) / sqrt(variance + 1e-5), recorded. The gradient of the
/// gain is sum_t b_t o xhat_t; xhat is computed again, for a gain may be zero.
at::Tensor layer_norm(const at::Tensor& x, const Parameter& gain, const Parameter& bias, Tape& tape);

/// Vaswani et al. 2017: [positions, d] float64, sin(t / 10000^(k/d)) at even k, cos(t / 10000^((k-1)/d)) at odd k.
at::Tensor sinusoid_positions(std::int64_t positions, std::int64_t d);

/// Names that activate() knows: identity, relu, tanh, gelu (x Phi(x)) and gelu_tanh (GPT-2's approximation of it).
const std::vector<std::string>& activations();
at::Tensor activate(const at::Tensor& x, const std::string& name);

}  // namespace grokscope
