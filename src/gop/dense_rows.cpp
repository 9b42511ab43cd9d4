#include "gop/dense_rows.hpp"

#include <algorithm>
#include <numeric>

#include "gradients/panel.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kExampleChunk = 512;
constexpr std::int64_t kColumnBlock = 4096;

std::vector<std::int64_t> all_of(IndexRange range) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(range.size()));
  std::iota(indices.begin(), indices.end(), range.begin);
  return indices;
}

}  // namespace

void fill_dense_rows(const GradientMatrix& g, const GopBlock& block, IndexRange rows, std::span<double> out) {
  const auto my_rows = all_of({block.rows.begin + rows.begin, block.rows.begin + rows.end});
  auto panel = at::from_blob(out.data(), {rows.size(), block.cols.size()}, at::kDouble);
  panel.zero_();
  for (std::int64_t begin = 0; begin < g.rows(); begin += kExampleChunk) {
    const auto chunk = all_of({begin, std::min(begin + kExampleChunk, g.rows())});
    const auto taps = g.fetch_rows([&](int) { return chunk; });
    if (rows.size() == 0) continue;
    const auto left = materialise_columns(taps, my_rows).t();
    for (auto col = block.cols.begin; col < block.cols.end; col += kColumnBlock) {
      const IndexRange cols{col, std::min(col + kColumnBlock, block.cols.end)};
      panel.slice(1, cols.begin - block.cols.begin, cols.end - block.cols.begin)
          .addmm_(left, materialise_columns(taps, all_of(cols)));
    }
  }
  panel.div_(static_cast<double>(g.rows()));
}

}  // namespace grokscope
