// A decoder-only transformer over short token sequences (papers 01, 04, 07): Power et al. 2022, a GPT-2 of any size, and
// the same without normalisation are one class with other shapes.
//
// Only what the loss reads is computed: positions behind the last one read are cut off, and in the last block queries,
// attention output, MLP and head run at the positions read; keys and values at all of them.
#pragma once

#include <string>
#include <vector>

#include "base/schema.hpp"
#include "nn/causal_attention.hpp"
#include "nn/model.hpp"

namespace grokscope {

struct TransformerShape {
  enum class Norm {
    none,
    pre,   ///< x + f(LN(x))
    post,  ///< LN(x + f(x))
  };
  enum class Positions { learned, sinusoid };
  enum class Init {
    uniform,  ///< PyTorch's defaults: embeddings N(0, 1), weights and biases of linear maps U(+-1/sqrt(fan_in))
    normal,   ///< GPT-2's: weights N(0, init_std^2), biases 0
  };
  /// A position that holds the same token in every example.
  struct FixedToken {
    std::int64_t position;
    std::int64_t token;
  };

  std::int64_t vocabulary = 0;
  std::int64_t tokens = 0;               ///< of an input
  std::vector<std::int64_t> read;        ///< the positions whose outputs the loss reads, ascending
  std::vector<FixedToken> fixed_tokens;  ///< known ones make Gram matrices cheaper; what is missing here costs only time

  std::int64_t d_model = 128;
  std::int64_t heads = 4;
  std::int64_t d_mlp = 512;
  std::int64_t blocks = 2;
  Norm norm = Norm::post;
  bool final_norm = false;
  bool bias = false;  ///< of the linear maps inside the blocks; the head never has one
  std::string activation = "relu";

  Positions positions = Positions::sinusoid;
  std::int64_t position_rows = 0;  ///< rows of a learned table; 0: as many as tokens
  bool tied = false;               ///< the head is the embedding, transposed
  std::int64_t outputs = 0;        ///< logits: the first so many tokens; 0: the whole vocabulary

  Init init = Init::uniform;
  double init_std = 0.02;
  bool init_scales_residual = true;  ///< with Init::normal: maps into the residual stream divided by sqrt(2 blocks)

  double embedding_dropout = 0;
  double attention_dropout = 0;
  double residual_dropout = 0;

  /// GPT-2 small (Radford et al. 2019) without its dropout; vocabulary, tokens and read are still to be said.
  static TransformerShape gpt2();

  /// The keys blocks, d_model, heads and d_mlp of a `model` section, and what may be wrong with them.
  void declare_widths(Schema& model);
  void check_widths(Problems& problems) const;
};

/// Tensors as PyTorch's linear maps have them, [d_out, d_in]: embed.W_E and unembed.W_U [vocabulary, d], pos_embed.W_pos
/// [position_rows, d], blocks.B.attn.W_Q W_K W_V W_O [d, d] (rows of the first three grouped by head), blocks.B.mlp.W_in
/// W_out, biases b_*, norms norm_1.gain and .bias. Inputs [n, tokens] int64; outputs [n, |read|, outputs] logits, or
/// [n, outputs] when one position is read.
class Transformer : public Model {
 public:
  Transformer(TransformerShape shape, std::uint64_t seed);
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override;
  bool is_stochastic() const override;
  at::Tensor forward_with_noise(const at::Tensor& inputs, const TrainingNoise& noise) const override;

  const TransformerShape& shape() const { return shape_; }

  /// What enters the head at the positions read, [n, |read|, d], or [n, d] when one is read; without gradients.
  at::Tensor features(const at::Tensor& inputs) const;
  /// W of the head; the embedding where they are tied.
  const Parameter& last_weight() const { return parameters[shape_.tied ? embedding_ : unembedding_]; }

 private:
  /// Indices into `parameters`; kNone where there is no such parameter.
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Pair {
    std::size_t weight = kNone, bias = kNone;
  };
  struct Block {
    Pair norm_1, query, key, value, output, norm_2, in, out;
  };

  Pair add_affine(const std::string& layer, const std::string& suffix, std::int64_t d_out, std::int64_t d_in, double scale);
  Pair add_norm(const std::string& layer);
  std::size_t add_table(const std::string& name, const std::string& layer, std::int64_t rows);
  Block add_block(std::int64_t b);

  Affine affine(const Pair& pair) const;
  at::Tensor norm(const at::Tensor& x, const Pair& pair, Tape& tape) const;
  at::Tensor run(const at::Tensor& inputs, const TrainingNoise& noise, Tape& tape) const;
  at::Tensor run_blocks(const at::Tensor& inputs, const TrainingNoise& noise, Tape& tape) const;
  at::Tensor embed(const at::Tensor& tokens, Tape& tape) const;
  void record_embedding(const at::Tensor& tokens, const at::Tensor& x, Tape& tape) const;
  at::Tensor run_block(std::size_t b, const at::Tensor& x, const std::vector<std::int64_t>& read,
                       const TrainingNoise& noise, Tape& tape) const;
  at::Tensor unembed(const at::Tensor& x, Tape& tape) const;

  TransformerShape shape_;
  std::int64_t used_tokens_;  ///< up to the last position read
  std::size_t embedding_ = kNone, positions_ = kNone, unembedding_ = kNone;
  std::vector<Block> blocks_;
  Pair final_norm_;
  std::uint64_t seed_;
};

}  // namespace grokscope
