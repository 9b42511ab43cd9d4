#include "gop/dense_rows.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gradients/panel.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kColumnBlock = 4096;

std::vector<std::int64_t> all_of(IndexRange range) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(range.size()));
  std::iota(indices.begin(), indices.end(), range.begin);
  return indices;
}

/// The size of the chunks of examples, the same for all, where this rank makes the gradients of `rows` parameters and of a
/// block of columns. Collective.
std::int64_t chunk_size(const GradientMatrix& g, std::int64_t rows) {
  return examples_at_once(static_cast<std::int64_t>(g.comm().max(static_cast<double>(rows))) + kColumnBlock);
}

/// Adds G^T G of some examples, times `share`, to the tiles `which`. Columns of many tiles are made at a time, and meet every
/// row of tiles that reaches them.
void add_to_tiles(const Taps& taps, IndexRange parameters, IndexRange which, double share, std::span<double> out) {
  const auto tiles = LowerTiles::of(parameters.size());
  const auto flat = [&](IndexRange of_tiles) {
    return IndexRange{parameters.begin + of_tiles.begin * tiles.width,
                      std::min(parameters.begin + of_tiles.end * tiles.width, parameters.end)};
  };
  const auto [first, first_col] = tiles.place(which.begin);
  const auto [last, last_col] = tiles.place(which.end - 1);
  const IndexRange cols{first == last ? first_col : 0, first == last ? last_col + 1 : last + 1};
  const auto left = materialise_columns(taps, all_of(flat({first, last + 1}))).t();
  const auto at_once = std::max<std::int64_t>(1, kColumnBlock / tiles.width);
  for (auto begin = cols.begin; begin < cols.end; begin += at_once) {
    const IndexRange block{begin, std::min(begin + at_once, cols.end)};
    const auto right = materialise_columns(taps, all_of(flat(block)));
    for (auto k = which.begin; k < which.end; ++k) {
      const auto [row, col] = tiles.place(k);
      if (col < block.begin || col >= block.end) continue;
      const auto rows = flat({row, row + 1}), columns = flat({col, col + 1});
      auto tile = at::from_blob(out.data() + (k - which.begin) * tiles.width * tiles.width, {rows.size(), columns.size()},
                                {tiles.width, 1}, at::kDouble);
      const auto row_offset = rows.begin - flat({first, last + 1}).begin, col_offset = columns.begin - flat(block).begin;
      tile.addmm_(left.slice(0, row_offset, row_offset + rows.size()), right.slice(1, col_offset, col_offset + columns.size()), 1, share);
    }
  }
}

}  // namespace

void fill_dense_rows(const GradientMatrix& g, const GopBlock& block, IndexRange rows, std::span<double> out) {
  const auto my_rows = all_of({block.rows.begin + rows.begin, block.rows.begin + rows.end});
  auto panel = at::from_blob(out.data(), {rows.size(), block.cols.size()}, at::kDouble);
  const double share = 1 / static_cast<double>(g.rows());
  const auto at_once = chunk_size(g, rows.size());
  for (std::int64_t begin = 0; begin < g.rows(); begin += at_once) {
    const auto chunk = all_of({begin, std::min(begin + at_once, g.rows())});
    const auto taps = g.fetch_rows({block.rows, block.cols}, [&](int) { return chunk; });
    if (rows.size() == 0) continue;
    const auto left = materialise_columns(taps, my_rows).t();
    for (auto col = block.cols.begin; col < block.cols.end; col += kColumnBlock) {
      const IndexRange cols{col, std::min(col + kColumnBlock, block.cols.end)};
      panel.slice(1, cols.begin - block.cols.begin, cols.end - block.cols.begin)
          .addmm_(left, materialise_columns(taps, all_of(cols)), begin == 0 ? 0 : 1, share);
    }
  }
}

std::pair<std::int64_t, std::int64_t> LowerTiles::place(std::int64_t k) const {
  auto row = static_cast<std::int64_t>((std::sqrt(8.0 * static_cast<double>(k) + 1) - 1) / 2);
  while (row * (row + 1) / 2 > k) --row;  // rounding
  while ((row + 1) * (row + 2) / 2 <= k) ++row;
  return {row, k - row * (row + 1) / 2};
}

void fill_lower_tiles(const GradientMatrix& g, IndexRange parameters, IndexRange which, std::span<double> out) {
  std::ranges::fill(out, 0.0);
  const auto tiles = LowerTiles::of(parameters.size());
  const auto tile_rows = which.size() == 0 ? 0 : tiles.place(which.end - 1).first + 1 - tiles.place(which.begin).first;
  const auto at_once = chunk_size(g, tile_rows * tiles.width);
  for (std::int64_t begin = 0; begin < g.rows(); begin += at_once) {
    const auto chunk = all_of({begin, std::min(begin + at_once, g.rows())});
    const auto taps = g.fetch_rows({parameters}, [&](int) { return chunk; });
    if (which.size() > 0) add_to_tiles(taps, parameters, which, 1 / static_cast<double>(g.rows()), out);
  }
}

}  // namespace grokscope
