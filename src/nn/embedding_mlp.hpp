// A table of embeddings, added up over the tokens of an example, and a decoder (paper 02).
#pragma once

#include "nn/mlp_layers.hpp"
#include "nn/model.hpp"

namespace grokscope {

struct EmbeddingMlpShape {
  std::int64_t vocabulary = 10;
  MlpShape decoder;          ///< its first width is that of the embeddings
  double embedding_scale = 1;
  double decoder_scale = 1;  ///< factor on all initial weights and biases of the decoder
};

class EmbeddingMlp : public Model {
 public:
  /// Embeddings "embedding.E" [vocabulary, d] start as U(+-1/2) times their scale, the decoder "decoder.<l>" as MlpLayers.
  EmbeddingMlp(EmbeddingMlpShape shape, std::uint64_t seed);

  /// Dec(sum_t E[x_t]) for inputs x [n, T] int64.
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override;

  const Parameter& embeddings() const { return parameters[0]; }

 private:
  std::int64_t vocabulary_;
  MlpLayers decoder_;
};

}  // namespace grokscope
