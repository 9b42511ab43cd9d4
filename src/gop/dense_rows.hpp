// Rows of a dense GOP, or tiles of its lower triangle, for whoever stores it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

#include "gradients/gradient_matrix.hpp"

namespace grokscope {

/// A block of a P x P matrix: ranges of the flat parameter vector.
struct GopBlock {
  IndexRange rows;
  IndexRange cols;
};

/// Writes rows `rows` (counted from block.rows.begin; may differ from rank to rank, and be empty) of the block of
/// (1/N) G^T G into `out`, row-major [rows, block.cols]. float64 sums over chunks of examples in order: 512, or fewer where
/// the elements of a chunk would take more than 268 MB. Memory per rank beside `out`: the taps of a chunk for the parameters
/// of the block, and chunk x (rows + 4096) doubles, at most twice while they are made. Collective: every rank must call it
/// equally often.
void fill_dense_rows(const GradientMatrix& g, const GopBlock& block, IndexRange rows, std::span<double> out);

/// The lower triangle of an n x n matrix in square tiles, row of tiles by row of tiles: (0, 0), (1, 0), (1, 1), (2, 0), ...
/// Tiles on the diagonal are whole; what a tile has beyond the matrix is 0.
struct LowerTiles {
  std::int64_t n = 0;
  std::int64_t width = 1;

  static LowerTiles of(std::int64_t n) { return {n, std::min<std::int64_t>(n, 256)}; }
  std::int64_t tile_rows() const { return (n + width - 1) / width; }
  std::int64_t count() const { return tile_rows() * (tile_rows() + 1) / 2; }
  std::int64_t elements() const { return count() * width * width; }
  /// Row and column of tile k, counted in tiles.
  std::pair<std::int64_t, std::int64_t> place(std::int64_t k) const;
};

/// Writes tiles `which` of (1/N) G^T G, restricted to the flat parameters `parameters`, into `out`, each width x width and
/// row-major, one after the other. Sums, memory and calls as fill_dense_rows(), whose rows are those that the tiles lie in.
/// Collective.
void fill_lower_tiles(const GradientMatrix& g, IndexRange parameters, IndexRange which, std::span<double> out);

}  // namespace grokscope
