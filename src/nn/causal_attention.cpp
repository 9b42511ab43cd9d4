#include "nn/causal_attention.hpp"

#include <cmath>
#include <limits>

#include "nn/batched_product.hpp"
#include "nn/layers.hpp"

namespace grokscope {
namespace {

/// [n, T, d] to [n, heads, T, d / heads].
at::Tensor by_head(const at::Tensor& x, std::int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

/// [|queries|, T]: 0 where the key may be seen, -inf where it lies ahead.
at::Tensor causal_mask(const std::vector<std::int64_t>& queries, std::int64_t tokens, const at::TensorOptions& options) {
  const auto positions = at::tensor(queries, at::kLong).unsqueeze(1);
  const auto ahead = at::arange(tokens, at::kLong).unsqueeze(0).gt(positions);
  const auto mask = at::zeros({positions.size(0), tokens}, at::kDouble);
  return mask.masked_fill(ahead, -std::numeric_limits<double>::infinity()).to(options);
}

struct Attended {
  at::Tensor query, key, value;  ///< [n, T' or T, d]
  at::Tensor scores;             ///< [n, heads, T', T]
  at::Tensor pattern;            ///< [n, heads, T', T]
  at::Tensor mixed;              ///< [n, T', d]
};

/// By query, T' terms a head with rows of d / heads, against by token, T terms with rows of d.
bool by_query_is_cheaper(const Attended& a, std::int64_t heads, std::int64_t width) {
  const auto queries = a.query.size(1), tokens = a.key.size(1), d = a.key.size(2);
  return queries * queries * (d + heads * width) < tokens * tokens * (d + width);
}

/// Records a weight whose per-head gradient is sum_q left_q (sum_t weight_qt x_t)^T.
template <class Left, class Weights>
void record_by_query(const Affine& affine, const at::Tensor& x, const AttentionLayer& layer, Tape& tape, Left left,
                     Weights weights) {
  const auto n = x.size(0), tokens = x.size(1), heads = layer.heads;
  const auto seen = affine.bias ? at::cat({x.detach(), at::ones_like(x.detach().slice(2, 0, 1))}, 2) : x.detach();
  tape.record(*affine.weight, affine.bias, [=](const Tape::Gradients& b) {
    const at::Tensor w = weights(b);  // [n, heads, T', T]
    const auto queries = w.size(2);
    const auto in = at::bmm(w.reshape({n, heads * queries, tokens}), seen);
    return Use{Factor::dense(left(b), heads, queries), Factor::dense(in, heads, queries), heads, queries};
  });
}

void record_keys_and_values(const Attended& a, const at::Tensor& x, const AttentionLayer& layer, Tape& tape) {
  const auto record = [&](const Affine& affine, const at::Tensor& output, const auto& left, const auto& weights) {
    if (by_query_is_cheaper(a, layer.heads, x.size(2) + (affine.bias ? 1 : 0))) {
      record_by_query(affine, x, layer, tape, left, weights);
    } else {
      tape.record_linear(*affine.weight, affine.bias, x, output);
    }
  };
  const auto heads = layer.heads;
  const auto scores = tape.observe(a.scores), mixed = tape.observe(a.mixed);
  const double scale = 1 / std::sqrt(static_cast<double>(x.size(2) / heads));
  record(layer.key, a.key,
         [q = by_head(a.query.detach(), heads) * scale](const Tape::Gradients&) { return q; },
         [scores](const Tape::Gradients& b) { return b[scores]; });
  record(layer.value, a.value,
         [mixed, heads](const Tape::Gradients& b) { return by_head(b[mixed], heads); },
         [p = a.pattern.detach()](const Tape::Gradients&) { return p; });
}

}  // namespace

at::Tensor at_positions(const at::Tensor& x, const std::vector<std::int64_t>& positions) {
  if (static_cast<std::int64_t>(positions.size()) == x.size(1)) return x;
  return x.index_select(1, at::tensor(positions, x.options().dtype(at::kLong)));
}

at::Tensor causal_attention(const at::Tensor& x, const std::vector<std::int64_t>& queries, const AttentionLayer& layer,
                            const TrainingNoise& noise, Tape& tape) {
  const auto n = x.size(0), tokens = x.size(1), d = x.size(2), heads = layer.heads;
  const auto asked = static_cast<std::int64_t>(queries.size());
  auto unrecorded = Tape::inactive();
  Attended a;
  a.query = linear(at_positions(x, queries), *layer.query.weight, layer.query.bias, tape);
  a.key = linear(x, *layer.key.weight, layer.key.bias, unrecorded);
  a.value = linear(x, *layer.value.weight, layer.value.bias, unrecorded);
  const double scale = 1 / std::sqrt(static_cast<double>(d / heads));
  a.scores = batched_product(by_head(a.query, heads) * scale, by_head(a.key, heads).transpose(2, 3)) +
             causal_mask(queries, tokens, x.options());
  a.pattern = noise.dropout(at::softmax(a.scores, -1), layer.dropout, layer.name + ".pattern");
  a.mixed = batched_product(a.pattern, by_head(a.value, heads)).transpose(1, 2).reshape({n, asked, d});
  if (tape.is_active()) record_keys_and_values(a, x, layer, tape);
  return linear(a.mixed, *layer.output.weight, layer.output.bias, tape);
}

}  // namespace grokscope
