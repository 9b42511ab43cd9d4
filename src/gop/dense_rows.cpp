#include "gop/dense_rows.hpp"

#include <numeric>

#include "gradients/panel.hpp"

namespace grokscope {

void fill_dense_rows(const GradientMatrix& g, IndexRange parameters, IndexRange rows, std::span<double> out) {
  constexpr std::int64_t kExampleChunk = 512;
  std::vector<std::int64_t> columns(static_cast<std::size_t>(parameters.size()));
  std::iota(columns.begin(), columns.end(), parameters.begin);
  auto panel = at::from_blob(out.data(), {rows.size(), parameters.size()}, at::kDouble);
  panel.zero_();
  for (std::int64_t begin = 0; begin < g.rows(); begin += kExampleChunk) {
    std::vector<std::int64_t> chunk(static_cast<std::size_t>(std::min(kExampleChunk, g.rows() - begin)));
    std::iota(chunk.begin(), chunk.end(), begin);
    const auto taps = g.fetch_rows([&](int) { return chunk; });
    if (rows.size() == 0) continue;
    const auto gradients = materialise_columns(taps, columns);
    panel.addmm_(gradients.slice(1, rows.begin, rows.end).t(), gradients);
  }
  panel.div_(static_cast<double>(g.rows()));
}

}  // namespace grokscope
