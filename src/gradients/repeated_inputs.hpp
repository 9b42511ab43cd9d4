// Which tokens give many examples the same input, and what do the inner products of their gradients cost then?
// Where a model reads a table, the inputs of its first layers are few: a residue, or a constant. Let token t of example i have
// the input a_r, one of R. Its part of K(i,j) is
//   sum_s (a_r . in_js) (out_it . out_js) = out_it . v_rj   with   v_rj = sum_s (a_r . in_js) out_js,
// and v_rj is made once for all examples that share a_r: d_out multiplications a pair instead of T (d_in + d_out).
// Called by parameter_gram.cpp. Knows nothing of ranks.
#pragma once

#include <algorithm>
#include <vector>

#include "base/block_cyclic.hpp"
#include "nn/tape.hpp"

namespace grokscope {

class RepeatedInputs {
 public:
  /// Looks for tokens at which `n` examples have few inputs, equal to the last bit: at most one for eight examples. Finds none
  /// in a tap that has several uses or groups, or factors that are not vectors. `tap` comes from to_double().
  RepeatedInputs(const Tap& tap, std::int64_t n) : RepeatedInputs(tap, n, n / kExamplesAnInput) {}

  /// The same for `n` examples of which the tap has only a sample of n_sampled: a token with inputs for half of them at most.
  static RepeatedInputs expected(const Tap& sample, std::int64_t n_sampled, std::int64_t n) {
    return {sample, n, std::min(n_sampled / 2, n / kExamplesAnInput)};
  }

  bool empty() const { return tokens_.empty(); }

  /// The tap without these tokens.
  const Tap& others() const { return others_; }

  /// block += the part of K that these tokens have, for rows `rows` of the tap and columns `cols` of `other`, which has all of
  /// its tokens; block is [rows, cols] float64, its rows or its columns contiguous. Best where one range is long.
  void add(IndexRange rows, const Tap& other, IndexRange cols, at::Tensor& block) const;

  /// Multiplications of add() for a pair, whose other side has `other_tokens` tokens.
  double macs_per_pair(std::int64_t other_tokens) const;

 private:
  static constexpr std::int64_t kExamplesAnInput = 8;  // fewer are not worth their v

  RepeatedInputs(const Tap& tap, std::int64_t n, std::int64_t most_inputs);

  struct Token {
    std::int64_t place;               ///< among the tokens of the tap
    at::Tensor inputs;                ///< [R, d_in]: those that occur
    std::vector<std::int64_t> which;  ///< n: the input of each example
  };

  void add_token(const Token& token, IndexRange rows, const Use& other, at::Tensor& block) const;

  Tap tap_, others_;
  std::int64_t n_;
  std::vector<Token> tokens_;
};

}  // namespace grokscope
