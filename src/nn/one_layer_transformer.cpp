#include "nn/one_layer_transformer.hpp"

#include <cmath>

#include "nn/layers.hpp"

namespace grokscope {
namespace {

enum : std::size_t { kEmbed, kPosition, kQuery, kKey, kValue, kOutput, kIn, kInBias, kOut, kOutBias, kUnembed };

}  // namespace

struct OneLayerTransformer::Attention {
  at::Tensor rows;     ///< [2p+1, d] residual stream at the distinct (token, position)
  at::Tensor row_of;   ///< [n, 3] which of them each example has
  at::Tensor query;    ///< [1, d]
  at::Tensor keys;     ///< [2p+1, d]
  at::Tensor scores;   ///< [n, 3, heads]
  at::Tensor pattern;  ///< [n, 3, heads]
  at::Tensor mixed;    ///< [n, d] head outputs
};

OneLayerTransformer::OneLayerTransformer(const OneLayerTransformerShape& shape, std::uint64_t seed) : shape_(shape) {
  const auto d = shape.d_model, vocabulary = shape.p + 1, m = shape.d_mlp;
  const double std = 1 / std::sqrt(static_cast<double>(d));
  const auto add = [&](const char* name, const char* layer, std::vector<std::int64_t> extents, double scale) {
    parameters.add(name, layer, normal_init(std::move(extents), scale, seed, name));
  };
  add("embed.W_E", "embed", {d, vocabulary}, std);
  add("pos_embed.W_pos", "pos_embed", {d, 3}, std);
  add("blocks.0.attn.W_Q", "blocks.0.attn.W_Q", {d, d}, std);
  add("blocks.0.attn.W_K", "blocks.0.attn.W_K", {d, d}, std);
  add("blocks.0.attn.W_V", "blocks.0.attn.W_V", {d, d}, std);
  add("blocks.0.attn.W_O", "blocks.0.attn.W_O", {d, d}, std);
  add("blocks.0.mlp.W_in", "blocks.0.mlp.in", {m, d}, std);
  add("blocks.0.mlp.b_in", "blocks.0.mlp.in", {m}, 0);
  add("blocks.0.mlp.W_out", "blocks.0.mlp.out", {d, m}, std);
  add("blocks.0.mlp.b_out", "blocks.0.mlp.out", {d}, 0);
  add("unembed.W_U", "unembed", {d, vocabulary}, 1 / std::sqrt(static_cast<double>(vocabulary)));
}

at::Tensor OneLayerTransformer::distinct_rows() const {
  const auto tokens = parameters[kEmbed].value.t();
  const auto positions = parameters[kPosition].value.t();
  const auto residues = tokens.slice(0, 0, shape_.p);
  return at::cat({residues + positions[0], residues + positions[1],
                  (tokens[shape_.p] + positions[2]).unsqueeze(0)});
}

OneLayerTransformer::Attention OneLayerTransformer::attend(const at::Tensor& inputs) const {
  const auto n = inputs.size(0), h = shape_.heads, d_head = shape_.d_model / h, distinct = 2 * shape_.p + 1;
  Attention a;
  a.rows = distinct_rows();
  const auto second = inputs.select(1, 1) + shape_.p;
  a.row_of = at::stack({inputs.select(1, 0), second, at::full_like(second, 2 * shape_.p)}, 1);
  a.query = at::mm(a.rows.slice(0, distinct - 1), parameters[kQuery].value.t());
  a.keys = at::mm(a.rows, parameters[kKey].value.t());
  const auto values = at::mm(a.rows, parameters[kValue].value.t());
  const auto score_of_row = (a.keys * a.query).view({distinct, h, d_head}).sum(-1) / std::sqrt(static_cast<double>(d_head));
  a.scores = at::embedding(score_of_row, a.row_of);
  a.pattern = at::softmax(a.scores, 1);
  const auto gathered = at::embedding(values, a.row_of).view({n, 3, h, d_head});
  a.mixed = (a.pattern.unsqueeze(-1) * gathered).sum(1).view({n, shape_.d_model});
  return a;
}

at::Tensor OneLayerTransformer::forward(const at::Tensor& inputs, Tape& tape) const {
  const auto a = attend(inputs);
  const auto attention_out = linear(a.mixed, parameters[kOutput], nullptr, tape);
  const auto residual = a.rows.slice(0, 2 * shape_.p) + attention_out;
  record_attention(a, residual, inputs, tape);
  const auto hidden = at::relu(linear(residual, parameters[kIn], &parameters[kInBias], tape));
  const auto final_residual = residual + linear(hidden, parameters[kOut], &parameters[kOutBias], tape);
  const auto logits = at::mm(final_residual, parameters[kUnembed].value);
  if (tape.is_active()) {
    tape.record(parameters[kUnembed], [slot = tape.observe(logits), x = final_residual.detach()](const auto& b) {
      return Use{Factor::dense(x), Factor::dense(b[slot])};
    });
  }
  return logits;
}

void OneLayerTransformer::record_attention(const Attention& a, const at::Tensor& residual, const at::Tensor& inputs,
                                           Tape& tape) const {
  if (!tape.is_active()) return;
  const auto n = inputs.size(0), h = shape_.heads, d = shape_.d_model, d_head = d / h, p = shape_.p;
  const double scale = 1 / std::sqrt(static_cast<double>(d_head));
  const auto d_scores = tape.observe(a.scores), d_mixed = tape.observe(a.mixed), d_residual = tape.observe(residual);
  const auto x = a.rows.detach().index_select(0, a.row_of.reshape({-1})).view({n, 3, d});
  const auto keys = a.keys.detach().index_select(0, a.row_of.reshape({-1})).view({n, 3, h, d_head});
  const auto pattern = a.pattern.detach();
  const auto query = (a.query.detach() * scale).view({h, d_head});
  const auto x_equals = a.rows.detach()[2 * p];
  const auto mix = [x](const at::Tensor& weights) { return at::bmm(weights.transpose(1, 2), x); };  // [n, heads, d]
  const auto query_gradient = [keys, scale](const at::Tensor& ds) { return (ds.unsqueeze(-1) * keys).sum(1) * scale; };

  tape.record(parameters[kQuery], [=](const Tape::Gradients& b) {
    return Use{Factor::dense(query_gradient(b[d_scores])), Factor::constant(x_equals)};
  });
  tape.record(parameters[kKey], [=](const Tape::Gradients& b) {
    return Use{Factor::constant(query, h), Factor::dense(mix(b[d_scores]), h), h};
  });
  tape.record(parameters[kValue], [=](const Tape::Gradients& b) {
    return Use{Factor::dense(b[d_mixed], h), Factor::dense(mix(pattern), h), h};
  });

  // What arrives at the embedding of each token: through keys and values, and at "=" through query and residual too.
  const auto w_q = parameters[kQuery].value.detach(), w_k = parameters[kKey].value.detach(),
             w_v = parameters[kValue].value.detach();
  const auto token_gradient = [=](const Tape::Gradients& b) {
    const auto to_keys = (b[d_scores].unsqueeze(-1) * query).view({n * 3, d});
    const auto to_values = (pattern.unsqueeze(-1) * b[d_mixed].view({n, 1, h, d_head})).view({n * 3, d});
    auto total = (at::mm(to_keys, w_k) + at::mm(to_values, w_v)).view({n, 3, d});
    total.select(1, 2) += at::mm(query_gradient(b[d_scores]).view({n, d}), w_q) + b[d_residual];
    return total;
  };
  const auto equals = at::full({1, 1}, p, inputs.options());
  const auto positions = at::arange(3, inputs.options()).unsqueeze(0);
  tape.record(parameters[kEmbed], [=](const Tape::Gradients& b) {
    return Use{Factor::dense(token_gradient(b).slice(1, 0, 2), 1, 2), Factor::one_hot(inputs, p + 1), 1, 2};
  });
  tape.record(parameters[kEmbed], [=](const Tape::Gradients& b) {
    return Use{Factor::dense(token_gradient(b).slice(1, 2, 3)), Factor::shared_one_hot(equals, p + 1)};
  });
  tape.record(parameters[kPosition], [=](const Tape::Gradients& b) {
    return Use{Factor::dense(token_gradient(b), 1, 3), Factor::shared_one_hot(positions, 3), 1, 3};
  });
}

}  // namespace grokscope
