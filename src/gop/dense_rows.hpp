// Rows of a dense GOP, for whoever stores it.
#pragma once

#include <span>

#include "gradients/gradient_matrix.hpp"

namespace grokscope {

/// A block of a P x P matrix: ranges of the flat parameter vector.
struct GopBlock {
  IndexRange rows;
  IndexRange cols;
};

/// Writes rows `rows` (counted from block.rows.begin; may differ from rank to rank, and be empty) of the block of
/// (1/N) G^T G into `out`, row-major [rows, block.cols]. float64 sums over chunks of 512 examples in order. Memory per
/// rank beside `out`: 512 x (rows + 4096) doubles. Collective: every rank must call it equally often.
void fill_dense_rows(const GradientMatrix& g, const GopBlock& block, IndexRange rows, std::span<double> out);

}  // namespace grokscope
