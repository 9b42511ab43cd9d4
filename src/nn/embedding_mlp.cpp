#include "nn/embedding_mlp.hpp"

namespace grokscope {
namespace {

/// The embeddings come first in the flat vector.
MlpLayers add_layers(ParameterSet& parameters, const EmbeddingMlpShape& shape, std::uint64_t seed) {
  const std::string name = "embedding.E";
  parameters.add(name, "embedding",
                 uniform_init({shape.vocabulary, shape.decoder.widths.front()}, 0.5 * shape.embedding_scale, seed, name));
  MlpLayers decoder(shape.decoder, "decoder", seed, parameters);
  at::NoGradGuard no_grad;
  for (std::size_t k = 1; k < parameters.all().size(); ++k) {
    auto value = parameters[k].value;
    value.mul_(shape.decoder_scale);
  }
  return decoder;
}

}  // namespace

EmbeddingMlp::EmbeddingMlp(EmbeddingMlpShape shape, std::uint64_t seed)
    : vocabulary_(shape.vocabulary), decoder_(add_layers(parameters, shape, seed)) {}

at::Tensor EmbeddingMlp::forward(const at::Tensor& inputs, Tape& tape) const {
  const auto rows = at::embedding(embeddings().value, inputs);  // [n, T, d]
  if (tape.is_active()) {
    tape.record(embeddings(), [slot = tape.observe(rows), inputs, vocabulary = vocabulary_](const Tape::Gradients& b) {
      const auto tokens = inputs.size(1);
      return Use{Factor::one_hot(inputs, vocabulary), Factor::dense(b[slot], 1, tokens), 1, tokens};
    });
  }
  return decoder_.forward(rows.sum(1), parameters, tape);
}

}  // namespace grokscope
