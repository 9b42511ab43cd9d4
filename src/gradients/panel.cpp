#include "gradients/panel.hpp"

#include <algorithm>
#include <numeric>

namespace grokscope {
namespace {

constexpr std::int64_t kExampleChunk = 512;
constexpr std::int64_t kColumnBlock = 256;

/// The factor of one group as [n, T, d] float64.
at::Tensor explicit_factor(const Factor& factor, std::int64_t n, std::int64_t group, std::int64_t tokens) {
  switch (factor.kind) {
    case Factor::Kind::dense: return factor.values.select(1, group).to(at::kDouble);
    case Factor::Kind::constant: {
      const auto values = factor.values[group].to(at::kDouble);
      return values.unsqueeze(0).expand({n, tokens, factor.dim});
    }
    case Factor::Kind::one_hot: {
      auto result = at::zeros({n, tokens, factor.dim}, at::kDouble);
      return result.scatter_(2, factor.index.to(at::kCPU).expand({n, tokens}).unsqueeze(2), 1.0);
    }
    case Factor::Kind::one: return at::ones({n, tokens, 1}, at::kDouble);
  }
  throw InternalError("unknown factor kind");
}

std::vector<std::int64_t> flat_indices(const BlockCyclic& dist, int process, std::int64_t first) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(dist.local_count(process)));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    indices[i] = first + dist.global_index(static_cast<std::int64_t>(i), process);
  }
  return indices;
}

}  // namespace

at::Tensor materialise(const Tap& tap, std::int64_t n) {
  auto result = at::zeros({n, tap.rows, tap.width()}, at::kDouble);
  for (const auto& use : tap.uses) {
    const auto width = use.out.dim;
    for (std::int64_t g = 0; g < use.groups; ++g) {
      const auto out = explicit_factor(use.out, n, g, use.tokens).to(at::kCPU);
      const auto in = explicit_factor(use.in, n, g, use.tokens).to(at::kCPU);
      result.slice(1, g * width, (g + 1) * width) += at::bmm(out.transpose(1, 2), in);
    }
  }
  return flatten_parameter(tap, result);
}

at::Tensor flatten_parameter(const Tap& tap, const at::Tensor& values) {
  const auto n = values.size(0);
  if (!tap.has_bias) return values.reshape({n, tap.size()});
  return at::cat({values.slice(2, 0, tap.cols).reshape({n, tap.rows * tap.cols}), values.select(2, tap.cols)}, 1);
}

at::Tensor materialise_columns(const Taps& taps, std::span<const std::int64_t> columns) {
  std::vector<at::Tensor> parts{at::empty({taps.n, 0}, at::kDouble)};
  auto first = columns.begin();
  for (const auto& tap : taps.taps) {
    const auto last = std::lower_bound(first, columns.end(), tap.offset + tap.size());
    if (first == last) continue;
    auto index = at::empty({last - first}, at::kLong);
    std::transform(first, last, index.data_ptr<std::int64_t>(), [&](auto column) { return column - tap.offset; });
    const bool all = index.size(0) == tap.size();
    const auto gradients = materialise(tap, taps.n);
    parts.push_back(all ? gradients : gradients.index_select(1, index));
    first = last;
  }
  return parts.size() == 2 ? parts.back() : at::cat(parts, 1);
}

void add_panel(const GradientMatrix& g, IndexRange parameters, Part part, const BlockCyclicTarget& target,
               const std::function<void()>& poll) {
  require(target.row_dist.n == parameters.size() && target.col_dist.n == parameters.size(), "panel target of another size");
  const int rank = g.comm().rank();
  const bool member = target.has(rank);
  const int my_row = target.grid_row(rank), my_col = target.grid_col(rank);
  const auto row_columns = member ? flat_indices(target.row_dist, my_row, parameters.begin) : std::vector<std::int64_t>{};
  const auto col_columns = member ? flat_indices(target.col_dist, my_col, parameters.begin) : std::vector<std::int64_t>{};
  const auto n_rows = static_cast<std::int64_t>(row_columns.size()), n_cols = static_cast<std::int64_t>(col_columns.size());
  for (std::int64_t begin = 0; begin < g.rows(); begin += kExampleChunk) {
    poll();
    std::vector<std::int64_t> chunk(static_cast<std::size_t>(std::min(kExampleChunk, g.rows() - begin)));
    std::iota(chunk.begin(), chunk.end(), begin);
    const auto taps = g.fetch_rows([&](int) { return chunk; });
    if (n_rows == 0 || n_cols == 0) continue;
    const auto row_gradients = materialise_columns(taps, row_columns);
    const auto col_gradients = row_columns == col_columns ? row_gradients : materialise_columns(taps, col_columns);
    for (std::int64_t j = 0; j < n_cols; j += kColumnBlock) {
      const auto j_end = std::min(j + kColumnBlock, n_cols);
      const auto first_col = target.col_dist.global_index(j, my_col);
      const auto i = part == Part::lower ? target.row_dist.local_lower_bound(first_col, my_row) : 0;
      if (i >= n_rows) break;
      auto tile = at::from_blob(target.local.data() + i + j * target.ld, {n_rows - i, j_end - j}, {1, target.ld}, at::kDouble);
      tile.addmm_(row_gradients.slice(1, i).t(), col_gradients.slice(1, j, j_end));
    }
  }
}

}  // namespace grokscope
