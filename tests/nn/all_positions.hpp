// What one would write first: every position through every layer of a Transformer, logits at every position, those that
// the loss reads picked at the end. Shares nothing with the class but the shape and the names of the parameters.
#pragma once

#include <fmt/format.h>

#include <cmath>

#include "nn/transformer.hpp"

namespace grokscope {

class AllPositions : public Model {
 public:
  explicit AllPositions(const Transformer& other) : shape_(other.shape()) {
    for (const auto& p : other.parameters.all()) parameters.add(p.name, p.layer, p.value);
    if (shape_.positions == TransformerShape::Positions::sinusoid) sinusoids_ = sinusoids();
  }

  at::Tensor forward(const at::Tensor& inputs, Tape&) const override {
    const auto& s = shape_;
    auto x = at::embedding(value("embed.W_E"), inputs);
    x = x + (sinusoids_.defined() ? sinusoids_.to(x.options()) : value("pos_embed.W_pos").slice(0, 0, s.tokens));
    for (std::int64_t b = 0; b < s.blocks; ++b) {
      const auto name = fmt::format("blocks.{}.", b);
      if (s.norm == TransformerShape::Norm::pre) {
        x = x + attention(norm(x, name + "norm_1"), name + "attn.");
        x = x + mlp(norm(x, name + "norm_2"), name + "mlp.");
      } else if (s.norm == TransformerShape::Norm::post) {
        x = norm(x + attention(x, name + "attn."), name + "norm_1");
        x = norm(x + mlp(x, name + "mlp."), name + "norm_2");
      } else {
        x = x + attention(x, name + "attn.");
        x = x + mlp(x, name + "mlp.");
      }
    }
    if (s.final_norm) x = norm(x, "final_norm");
    const auto head = s.tied ? value("embed.W_E").slice(0, 0, s.outputs) : value("unembed.W_U");
    const auto logits = at::matmul(x, head.t()).index_select(1, at::tensor(s.read, at::kLong));
    return s.read.size() == 1 ? logits.squeeze(1) : logits;
  }

 private:
  at::Tensor value(const std::string& name) const {
    for (const auto& p : parameters.all()) {
      if (p.name == name) return p.value;
    }
    return {};
  }
  at::Tensor sinusoids() const {
    auto table = at::empty({shape_.tokens, shape_.d_model}, at::kDouble);
    for (std::int64_t t = 0; t < shape_.tokens; ++t) {
      for (std::int64_t k = 0; k < shape_.d_model; ++k) {
        const auto even = static_cast<double>(k - k % 2) / static_cast<double>(shape_.d_model);
        const double angle = static_cast<double>(t) / std::pow(10000.0, even);
        table[t][k] = k % 2 == 0 ? std::sin(angle) : std::cos(angle);
      }
    }
    return table;
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    return at::layer_norm(x, {shape_.d_model}, value(name + ".gain"), value(name + ".bias"), 1e-5);
  }
  at::Tensor map(const at::Tensor& x, const std::string& weight, const std::string& bias) const {
    const auto y = at::matmul(x, value(weight).t());
    return shape_.bias ? y + value(bias) : y;
  }
  at::Tensor attention(const at::Tensor& x, const std::string& name) const {
    const auto n = x.size(0), tokens = x.size(1), h = shape_.heads, d = shape_.d_model;
    const auto heads = [&](const char* which) {
      return map(x, name + "W_" + which, name + "b_" + which).view({n, tokens, h, d / h}).transpose(1, 2);
    };
    auto scores = at::matmul(heads("Q"), heads("K").transpose(2, 3)) / std::sqrt(static_cast<double>(d / h));
    scores = scores.masked_fill(at::ones({tokens, tokens}, at::kBool).triu(1), -INFINITY);
    const auto mixed = at::matmul(at::softmax(scores, -1), heads("V")).transpose(1, 2).reshape({n, tokens, d});
    return map(mixed, name + "W_O", name + "b_O");
  }
  at::Tensor mlp(const at::Tensor& x, const std::string& name) const {
    auto h = map(x, name + "W_in", name + "b_in");
    if (shape_.activation == "relu") h = at::relu(h);
    if (shape_.activation == "gelu") h = 0.5 * h * (1 + at::erf(h / std::sqrt(2.0)));
    if (shape_.activation == "gelu_tanh") {
      h = 0.5 * h * (1 + at::tanh(std::sqrt(2 / M_PI) * (h + 0.044715 * h * h * h)));
    }
    return map(h, name + "W_out", name + "b_out");
  }

  TransformerShape shape_;
  at::Tensor sinusoids_;
};

}  // namespace grokscope
