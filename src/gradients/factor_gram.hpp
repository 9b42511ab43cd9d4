// What are the inner products of the gradients of two sets of examples, parameter by parameter?
// For one parameter and one pair (i, j):  K(i,j) = sum over uses u, v, groups g, tokens t, s of
//   (out^u_igt . out^v_jgs) (in^u_igt . in^v_jgs)
// Each bracket is a GEMM, a table of equal tokens, or a number that all pairs share; a tile of pairs is made at a time.
// Called by gram.cpp. Knows nothing of ranks.
#pragma once

#include "nn/tape.hpp"

namespace grokscope {

/// The tap with dense and constant factors in float64: products of two float32 numbers are exact there.
Tap to_double(const Tap& tap);

/// tile += K for rows `rows` of `a` and columns `cols` of `b` (both from to_double()); tile is [rows, cols] float64 with
/// any strides; column-major is fastest.
void add_gram_tile(const Tap& a, IndexRange rows, const Tap& b, IndexRange cols, at::Tensor& tile);

/// Multiply-accumulates that add_gram_tile spends on one pair of examples: the count behind the benchmark's floor.
/// Equal-token tables count their expected matches, 1/d of all pairs.
double gram_macs_per_pair(const Tap& tap);

/// The same for explicit gradients, rows x cols.
inline double explicit_macs_per_pair(const Tap& tap) { return static_cast<double>(tap.size()); }

}  // namespace grokscope
