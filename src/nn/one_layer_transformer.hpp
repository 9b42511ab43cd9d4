// The one-block transformer of paper 03 (Nanda et al. 2023) for prompts [a, b, "="], read at "=".
//
// Only what the loss reads is computed: "=" is the only query, so q is one vector, and keys, values and attention scores
// depend on (token, position) alone: 2p + 1 distinct rows instead of 3n. The same facts make the per-example gradients of
// W_K and W_V one outer product per head and those of W_Q and W_O one, so that no pair of tokens is ever visited:
//   dL_i/dW_V[h] = dz_i[h] (sum_t p_it[h] x_it)^T          p: attention, dz: gradient of the head outputs
//   dL_i/dW_K[h] = q[h] (sum_t ds_it[h] x_it)^T / sqrt(d)  ds: gradient of the attention scores
#pragma once

#include "nn/model.hpp"

namespace grokscope {

struct OneLayerTransformerShape {
  std::int64_t p = 113;  ///< residues; the vocabulary has one token more, "="
  std::int64_t d_model = 128;
  std::int64_t heads = 4;
  std::int64_t d_mlp = 512;
};

/// No LayerNorm; softmax attention with 1/sqrt(d_head), ReLU MLP with biases, untied unembedding over p + 1 tokens.
/// Tensors as in the paper's code: W_E [d, p+1], W_pos [d, 3], W_Q W_K W_V W_O [d, d] (rows of Q, K, V grouped by head),
/// W_in [d_mlp, d], W_out [d, d_mlp], W_U [d, p+1]; all N(0, 1/d) but W_U, N(0, 1/(p+1)), biases 0.
/// Inputs [n, 2] int64, outputs [n, p+1] logits.
class OneLayerTransformer : public Model {
 public:
  OneLayerTransformer(const OneLayerTransformerShape& shape, std::uint64_t seed);
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override;

 private:
  struct Attention;
  at::Tensor distinct_rows() const;
  Attention attend(const at::Tensor& inputs) const;
  void record_attention(const Attention& a, const at::Tensor& residual, const at::Tensor& inputs, Tape& tape) const;

  OneLayerTransformerShape shape_;
};

}  // namespace grokscope
