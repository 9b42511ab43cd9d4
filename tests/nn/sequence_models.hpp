// Every building block of the sequence models, and small models of each style, with losses and data to go with them.
#pragma once

#include <functional>

#include "gop/small_models.hpp"
#include "nn/causal_attention.hpp"
#include "nn/layers.hpp"
#include "nn/transformer.hpp"

namespace grokscope {

/// Parameters and a function of them.
class BlockModel : public Model {
 public:
  using Function = std::function<at::Tensor(const ParameterSet&, const at::Tensor&, Tape&)>;
  struct Shape {
    std::string name, layer;
    std::vector<std::int64_t> extents;
  };
  BlockModel(const std::vector<Shape>& shapes, Function function) : function_(std::move(function)) {
    for (const auto& s : shapes) parameters.add(s.name, s.layer, normal_init(s.extents, 0.5, 3, s.name));
  }
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override { return function_(parameters, inputs, tape); }

 private:
  Function function_;
};

/// A regression on what the function makes of inputs [n, tokens, d]: outputs [n, d_out].
inline SmallModel block(const std::string& name, std::int64_t n, std::int64_t tokens, std::int64_t d, std::int64_t d_out,
                        const std::vector<BlockModel::Shape>& shapes, BlockModel::Function function) {
  return {name, std::make_shared<BlockModel>(shapes, std::move(function)), regression_mse(1e-3),
          normal_init({n, tokens, d}, 1, 2, "x"), normal_init({n, d_out}, 1, 2, "y")};
}

inline AttentionLayer attention_of(const ParameterSet& p, std::int64_t heads) {
  const bool bias = p.all().size() == 8;
  const auto affine = [&](std::size_t k) { return bias ? Affine{&p[2 * k], &p[2 * k + 1]} : Affine{&p[k], nullptr}; };
  return {affine(0), affine(1), affine(2), affine(3), heads, 0, "attn"};
}

inline std::vector<BlockModel::Shape> attention_shapes(std::int64_t d, bool bias) {
  std::vector<BlockModel::Shape> shapes;
  for (const std::string which : {"Q", "K", "V", "O"}) {
    shapes.push_back({"W_" + which, which, {d, d}});
    if (bias) shapes.push_back({"b_" + which, which, {d}});
  }
  return shapes;
}

inline std::vector<SmallModel> sequence_blocks(std::int64_t n) {
  const auto linear_of_tokens = [](const ParameterSet& p, const at::Tensor& x, Tape& tape) {
    return at::tanh(linear(x, p[0], &p[1], tape)).sum(1);
  };
  const auto norm_of_tokens = [](const ParameterSet& p, const at::Tensor& x, Tape& tape) {
    return at::tanh(layer_norm(x, p[0], p[1], tape)).sum(1);
  };
  const auto gelus = [](const ParameterSet& p, const at::Tensor& x, Tape& tape) {
    return activate(activate(linear(x, p[0], nullptr, tape), "gelu"), "gelu_tanh").sum(1);
  };
  const auto attend = [](std::vector<std::int64_t> queries, std::int64_t heads) {
    return [=](const ParameterSet& p, const at::Tensor& x, Tape& tape) {
      return at::tanh(causal_attention(x, queries, attention_of(p, heads), TrainingNoise::none(), tape)).sum(1);
    };
  };
  // Applied twice, the second time at the last token: the uses of W_K and W_V have different groups.
  const auto twice = [](const ParameterSet& p, const at::Tensor& x, Tape& tape) {
    const auto attention = attention_of(p, 2);
    const auto y = x + causal_attention(x, {0, 1, 2, 3}, attention, TrainingNoise::none(), tape);
    return at::tanh(causal_attention(y, {3}, attention, TrainingNoise::none(), tape)).sum(1);
  };
  const auto unknown = [](const ParameterSet& p, const at::Tensor& x, Tape& tape) {
    const auto scaled = at::sinh(p[0].value) * x + p[1].value.exp();  // recorded nowhere
    return at::tanh(linear(scaled, p[2], &p[3], tape)).sum(1);
  };
  return {
      block("linear, pairs of tokens", n, 3, 16, 20, {{"W", "W", {20, 16}}, {"b", "W", {20}}}, linear_of_tokens),
      block("linear, materialised", n, 7, 5, 4, {{"W", "W", {4, 5}}, {"b", "W", {4}}}, linear_of_tokens),
      block("layer norm", n, 3, 6, 6, {{"gain", "norm", {6}}, {"bias", "norm", {6}}}, norm_of_tokens),
      block("GELU", n, 2, 12, 9, {{"W", "W", {9, 12}}}, gelus),
      block("attention, all queries", n, 3, 20, 20, attention_shapes(20, false), attend({0, 1, 2}, 4)),
      block("attention, all queries, biases", n, 5, 6, 6, attention_shapes(6, true), attend({0, 1, 2, 3, 4}, 3)),
      block("attention, one query, biases", n, 5, 12, 12, attention_shapes(12, true), attend({3}, 2)),
      block("attention, two queries", n, 6, 16, 16, attention_shapes(16, false), attend({2, 5}, 2)),
      block("attention applied twice", n, 4, 8, 8, attention_shapes(8, true), twice),
      block("no kernel", n, 3, 5, 4, {{"s", "s", {3, 5}}, {"t", "t", {5}}, {"W", "W", {4, 5}}, {"b", "W", {4}}}, unknown),
  };
}

/// Targets [n, T] among `classes`, some of them unsupervised.
inline at::Tensor token_targets(std::int64_t n, std::int64_t tokens, std::int64_t classes) {
  auto y = residues(n, classes, "y", tokens);
  return y.masked_fill(residues(n, 4, "unsupervised", tokens).eq(0), -1);
}

inline SmallModel small_power_transformer(std::int64_t n) {
  TransformerShape s;
  s.vocabulary = 11;
  s.tokens = 6;
  s.read = {4, 5};
  s.fixed_tokens = {{0, 9}, {4, 10}};
  s.d_model = 8;
  s.heads = 2;
  s.d_mlp = 12;
  auto x = residues(n, 9, "x", 6);
  x.select(1, 0).fill_(9);
  x.select(1, 4).fill_(10);
  return {"post-norm, untied, sinusoid", std::make_shared<Transformer>(s, 9), token_cross_entropy(at::kDouble), x,
          residues(n, 11, "y", 2)};
}

inline SmallModel small_gpt(std::int64_t n) {
  auto s = TransformerShape::gpt2();
  s.vocabulary = 10;
  s.outputs = 7;
  s.tokens = 4;
  s.read = {1, 2};
  s.d_model = 12;
  s.heads = 3;
  s.d_mlp = 10;
  s.blocks = 2;
  s.position_rows = 6;
  s.init_std = 0.4;
  auto model = std::make_shared<Transformer>(s, 9);
  // Away from biases of 0 and gains of 1, where a wrong term may vanish.
  const auto flat = model->parameters.flat();
  model->parameters.set_flat(flat + normal_init({flat.numel()}, 0.1, 4, "shift"));
  return {"pre-norm, tied, learned positions, biases", model, token_cross_entropy(at::kDouble), residues(n, 10, "x", 4),
          token_targets(n, 2, 7)};
}

inline SmallModel small_plain_transformer(std::int64_t n) {
  TransformerShape s;
  s.vocabulary = 8;
  s.tokens = 4;
  s.read = {3};
  s.fixed_tokens = {{1, 6}, {3, 7}};
  s.d_model = 8;
  s.heads = 4;
  s.d_mlp = 12;
  s.norm = TransformerShape::Norm::none;
  s.positions = TransformerShape::Positions::learned;
  s.activation = "gelu";
  auto x = residues(n, 6, "x", 4);
  x.select(1, 1).fill_(6);
  x.select(1, 3).fill_(7);
  return {"no norm, last token", std::make_shared<Transformer>(s, 9), cross_entropy(at::kDouble), x, residues(n, 8, "y", 1)};
}

/// Pre-norm, 9 tokens, prompts of 3 read at the last.
inline std::unique_ptr<Transformer> dropping_transformer(double embedding, double attention, double residual) {
  TransformerShape s;
  s.vocabulary = 9;
  s.tokens = 3;
  s.read = {2};
  s.d_model = 8;
  s.heads = 2;
  s.d_mlp = 12;
  s.norm = TransformerShape::Norm::pre;
  s.embedding_dropout = embedding;
  s.attention_dropout = attention;
  s.residual_dropout = residual;
  return std::make_unique<Transformer>(s, 2);
}

inline std::vector<SmallModel> small_transformers(std::int64_t n) {
  return {small_power_transformer(n), small_gpt(n), small_plain_transformer(n)};
}

}  // namespace grokscope
