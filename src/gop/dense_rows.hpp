// Rows of a dense GOP, for whoever stores it.
#pragma once

#include <span>

#include "gradients/gradient_matrix.hpp"

namespace grokscope {

/// Writes rows `rows` (relative to parameters.begin; may differ from rank to rank, and be empty) of (1/N) G^T G restricted
/// to `parameters` into `out`, row-major [rows, parameters]. Memory per rank: 512 x parameters doubles beside `out`.
/// Collective: every rank must call it equally often.
void fill_dense_rows(const GradientMatrix& g, IndexRange parameters, IndexRange rows, std::span<double> out);

}  // namespace grokscope
