// How are the inner products of one parameter's gradients made, for the examples of some rows and columns?
// By the tokens whose inputs repeat, where that saves work (repeated_inputs.hpp), and the others tile by tile
// (factor_gram.hpp). Called by gram.cpp. Knows nothing of ranks.
#pragma once

#include <memory>

#include "gradients/factor_gram.hpp"
#include "gradients/repeated_inputs.hpp"

namespace grokscope {

/// A tap from to_double() and the number of its examples.
struct TapOf {
  const Tap& tap;
  std::int64_t n;
};

class ParameterGram {
 public:
  /// `rows` and `cols` are of the same parameter; where they are the same object they are looked through once.
  ParameterGram(TapOf rows, TapOf cols);

  /// K is the sum of three parts. Each is added to a block [rows, cols] of float64 whose columns are contiguous:
  /// of the tokens that do not repeat, best for kGramTile rows and columns at most;
  void add_tile(IndexRange rows, IndexRange cols, at::Tensor& tile) const;
  /// of the rows' repeated tokens with all tokens of the columns, best for many rows;
  void add_repeated_rows(IndexRange rows, IndexRange cols, at::Tensor& block) const;
  /// of the columns' repeated tokens with the other tokens of the rows, best for many columns.
  void add_repeated_cols(IndexRange rows, IndexRange cols, at::Tensor& block) const;

  bool has_repeated_rows() const { return rows_ != nullptr && !rows_->empty(); }
  bool has_repeated_cols() const { return cols_ != nullptr && !cols_->empty(); }

  /// Multiply-accumulates that a pair of examples takes.
  double macs_per_pair() const { return macs_; }

  at::Device device() const;

 private:
  Tap all_rows_, all_cols_;
  std::shared_ptr<const RepeatedInputs> rows_, cols_;  ///< null: not used
  GramKernel kernel_;                                  ///< of add_tile
  double macs_;
};

/// What a pair of `n` examples takes, judged by a sample of them.
double expected_macs_per_pair(TapOf sample, std::int64_t n);

}  // namespace grokscope
