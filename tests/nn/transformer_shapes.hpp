// The transformers of papers 01, 04 and 07 at their own size.
#pragma once

#include "nn/transformer.hpp"

namespace grokscope {

/// Power et al. 2022: tokens eos a op b = c of a vocabulary of 239 (eos 0, = 1, here op 2), loss on c and eos.
inline TransformerShape power_shape() {
  TransformerShape s;
  s.vocabulary = 239;
  s.tokens = 6;
  s.read = {4, 5};
  s.fixed_tokens = {{0, 0}, {2, 2}, {4, 1}};
  return s;
}

/// Wang et al. 2024: GPT-2 small with eight blocks and their vocabulary.
inline TransformerShape wang_shape() {
  auto s = TransformerShape::gpt2();
  s.vocabulary = 52464;
  s.tokens = 5;
  s.read = {1, 2, 3};
  s.blocks = 8;
  s.embedding_dropout = s.attention_dropout = s.residual_dropout = 0.1;
  return s;
}

/// The same idea for one core: 50 entities and 20 relations, tokens h r1 r2, logits over the entities.
inline TransformerShape wang_miniature_shape() {
  auto s = wang_shape();
  s.vocabulary = 70;
  s.outputs = 50;
  s.tokens = 3;
  s.read = {1, 2};
  s.d_model = 128;
  s.heads = 4;
  s.d_mlp = 512;
  s.blocks = 2;
  s.activation = "relu";
  s.position_rows = 0;
  s.embedding_dropout = s.attention_dropout = s.residual_dropout = 0;
  return s;
}

/// Thilak et al. 2022 as replicated later: tokens a op b =, no normalisation.
inline TransformerShape slingshot_shape() {
  TransformerShape s;
  s.vocabulary = 99;
  s.tokens = 4;
  s.read = {3};
  s.fixed_tokens = {{1, 97}, {3, 98}};
  s.norm = TransformerShape::Norm::none;
  return s;
}

}  // namespace grokscope
