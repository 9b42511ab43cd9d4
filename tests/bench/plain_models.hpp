// What one would write first for each paper's model: plain forward passes that skip and fold nothing, for
// autograd. They share nothing with our models but the values and the order of the parameters.
#pragma once

#include <cmath>
#include <functional>

#include "nn/model.hpp"

namespace grokscope {

/// A forward pass over the parameters `w` of a model, given in its order.
using PlainForward = std::function<at::Tensor(const std::vector<at::Tensor>& w, const at::Tensor& inputs)>;

class PlainModel : public Model {
 public:
  /// Starts at copies of `initial`.
  PlainModel(const ParameterSet& initial, PlainForward forward) : forward_(std::move(forward)) {
    for (const auto& p : initial.all()) parameters.add(p.name, p.layer, p.value);
    values_ = parameters.tensors();
  }
  at::Tensor forward(const at::Tensor& inputs, Tape&) const override { return forward_(values_, inputs); }

 private:
  PlainForward forward_;
  std::vector<at::Tensor> values_;
};

/// Weights and biases in turn from index `first` on, `activation` between the layers.
inline at::Tensor plain_layers(const std::vector<at::Tensor>& w, std::size_t first, at::Tensor x,
                               at::Tensor (*activation)(const at::Tensor&)) {
  for (std::size_t k = first; k < w.size(); k += 2) {
    x = at::linear(x, w[k], w[k + 1]);
    if (k + 2 < w.size()) x = activation(x);
  }
  return x;
}

/// Paper 02: the embeddings of two tokens, added, and a decoder with tanh.
inline at::Tensor plain_embedding_mlp(const std::vector<at::Tensor>& w, const at::Tensor& inputs) {
  return plain_layers(w, 1, at::embedding(w[0], inputs).sum(1), at::tanh);
}

/// Paper 03: every position of a b = through every layer, logits at every position, the last one scored.
inline at::Tensor plain_one_layer_transformer(const std::vector<at::Tensor>& w, const at::Tensor& inputs) {
  const auto n = inputs.size(0), equals = w[0].size(1) - 1, d = w[0].size(0), heads = std::int64_t{4};
  const auto tokens = at::cat({inputs, at::full({n, 1}, equals, inputs.options())}, 1);
  const auto x = at::embedding(w[0].t(), tokens) + w[1].t();
  const auto by_head = [&](std::size_t k) {
    return at::matmul(x, w[k].t()).view({n, 3, heads, d / heads}).transpose(1, 2);
  };
  auto scores =
      at::matmul(by_head(2), by_head(3).transpose(2, 3)) / std::sqrt(static_cast<double>(d / heads));
  scores = scores.masked_fill(at::ones({3, 3}, at::kBool).triu(1), -1e10);
  const auto mixed = at::matmul(at::softmax(scores, -1), by_head(4)).transpose(1, 2).reshape({n, 3, d});
  const auto middle = x + at::matmul(mixed, w[5].t());
  const auto hidden = at::relu(at::matmul(middle, w[6].t()) + w[7]);
  const auto out = middle + at::matmul(hidden, w[8].t()) + w[9];
  return at::matmul(out, w[10]).select(1, 2);
}

/// Papers 05, 06 and 07: a fully connected network with ReLU.
inline at::Tensor plain_mlp(const std::vector<at::Tensor>& w, const at::Tensor& inputs) {
  return plain_layers(w, 0, inputs, at::relu);
}

/// Paper 08: the square of a sum of two embeddings, and a linear map.
inline at::Tensor plain_power_mlp(const std::vector<at::Tensor>& w, const at::Tensor& inputs) {
  const auto sum = at::embedding(w[0], inputs.select(1, 0)) + at::embedding(w[1], inputs.select(1, 1));
  return at::linear(at::pow(sum, 2), w[2]);
}

/// Paper 09: one matrix.
inline at::Tensor plain_linear(const std::vector<at::Tensor>& w, const at::Tensor& inputs) {
  return at::linear(inputs, w[0]);
}

/// Paper 10: every example through all of d_model.
inline at::Tensor plain_two_token_mlp(const std::vector<at::Tensor>& w, const at::Tensor& inputs) {
  const auto embedded = at::embedding(w[0].t(), inputs).sum(1);
  return at::matmul(at::linear(at::relu(at::linear(embedded, w[1])), w[2]), w[3]);
}

}  // namespace grokscope
