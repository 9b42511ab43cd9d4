// What does each token take over from the tokens up to itself?
// Softmax attention with several heads over T tokens, asked for at the queries that the loss will read only. Two ways to
// factorise the gradients of W_K and W_V (one head; x: inputs, q: queries / sqrt(d_head), p: pattern, dk, ds, dz: gradients
// of keys, scores and head outputs); the cheaper one for Gram matrices is recorded:
//   by token   sum_t dk_t x_t^T                      T terms
//   by query   sum_q q_q (sum_t ds_qt x_t)^T         one term a query and head, however many tokens it sees
//              sum_q dz_q (sum_t p_qt x_t)^T         for W_V
#pragma once

#include <vector>

#include "nn/parameters.hpp"
#include "nn/tape.hpp"
#include "nn/training_noise.hpp"

namespace grokscope {

/// A weight [d_out, d_in] and its bias, or null.
struct Affine {
  const Parameter* weight;
  const Parameter* bias;
};

/// Rows of query, key and value are grouped by head, as are the columns of output: a paper's matrices per head are blocks
/// of these.
struct AttentionLayer {
  Affine query, key, value, output;
  std::int64_t heads;
  double dropout = 0;  ///< of the pattern
  std::string name;    ///< the place of its noise
};

/// [n, |queries|, d] from x [n, T, d]: the attention output of the tokens at positions `queries` (ascending), each seeing
/// the positions up to its own. Scores are divided by sqrt(d / heads). Recorded.
at::Tensor causal_attention(const at::Tensor& x, const std::vector<std::int64_t>& queries, const AttentionLayer& layer,
                            const TrainingNoise& noise, Tape& tape);

/// x [n, T, d] at some positions.
at::Tensor at_positions(const at::Tensor& x, const std::vector<std::int64_t>& positions);

}  // namespace grokscope
