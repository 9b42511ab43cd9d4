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

/// Rows and columns of the tiles that GramBuilder asks for.
constexpr std::int64_t kGramTile = 256;

/// How a tile is made.
enum class GramKernel {
  structured,    ///< by pairs of tokens
  materialised,  ///< from the gradients of its examples, a slab of the parameter at a time
};

/// The kernel that takes fewer multiplications; `materialised` where the uses have no common groups. Compares tokens that all
/// examples share: ask once for a parameter, not for each tile.
GramKernel cheaper_kernel(const Tap& tap);

/// tile += K for rows `rows` of `a` and columns `cols` of `b` (both from to_double()); tile is [rows, cols] float64 with
/// any strides; column-major is fastest.
void add_gram_tile(GramKernel kernel, const Tap& a, IndexRange rows, const Tap& b, IndexRange cols, at::Tensor& tile);

/// The same by the cheaper kernel.
inline void add_gram_tile(const Tap& a, IndexRange rows, const Tap& b, IndexRange cols, at::Tensor& tile) {
  add_gram_tile(cheaper_kernel(a), a, rows, b, cols, tile);
}

/// What a pair of examples costs by pairs of tokens, T^2 (d_in + d_out) and less where tokens or factors are shared.
/// Infinite when the uses have no common groups. Equal-token tables count their expected matches, 1/d of all pairs.
double structured_macs_per_pair(const Tap& tap);

/// What it costs with gradients made anew for each tile: size (1 + 2 T / kGramTile).
double materialised_macs_per_pair(const Tap& tap);

/// Multiply-accumulates that add_gram_tile spends on one pair of examples: the smaller of the two. The count behind the
/// benchmark's floor.
double gram_macs_per_pair(const Tap& tap);

/// The same for explicit gradients, rows x cols.
inline double explicit_macs_per_pair(const Tap& tap) { return static_cast<double>(tap.size()); }

}  // namespace grokscope
