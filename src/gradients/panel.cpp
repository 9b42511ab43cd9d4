#include "gradients/panel.hpp"

#include <algorithm>
#include <numeric>

namespace grokscope {
namespace {

constexpr std::int64_t kColumnBlock = 256;

bool holds_a_part(const BlockCyclicTarget& target, int rank) {
  return target.has(rank) && target.row_dist.local_count(target.grid_row(rank)) > 0 &&
         target.col_dist.local_count(target.grid_col(rank)) > 0;
}

std::vector<std::int64_t> flat_indices(const BlockCyclic& dist, int process, std::int64_t first) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(dist.local_count(process)));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    indices[i] = first + dist.global_index(static_cast<std::int64_t>(i), process);
  }
  return indices;
}

}  // namespace

void add_panel(const GradientMatrix& g, IndexRange parameters, Part part, const BlockCyclicTarget& target,
               const std::function<void()>& poll) {
  require(target.row_dist.n == parameters.size() && target.col_dist.n == parameters.size(), "panel target of another size");
  const int rank = g.comm().rank();
  const bool takes_part = holds_a_part(target, rank);
  const int my_row = target.grid_row(rank), my_col = target.grid_col(rank);
  const auto none = std::vector<std::int64_t>{};
  const auto row_columns = takes_part ? flat_indices(target.row_dist, my_row, parameters.begin) : none;
  const auto col_columns = takes_part ? flat_indices(target.col_dist, my_col, parameters.begin) : none;
  const auto n_rows = static_cast<std::int64_t>(row_columns.size()), n_cols = static_cast<std::int64_t>(col_columns.size());
  // Process 0 of each dimension holds most: every rank takes as many examples at a time as that one.
  const auto at_once = examples_at_once(target.row_dist.local_count(0) + target.col_dist.local_count(0));
  for (std::int64_t begin = 0; begin < g.rows(); begin += at_once) {
    poll();
    std::vector<std::int64_t> chunk(static_cast<std::size_t>(std::min(at_once, g.rows() - begin)));
    std::iota(chunk.begin(), chunk.end(), begin);
    const auto taps = g.fetch_rows({parameters}, [&](int r) { return holds_a_part(target, r) ? chunk : none; });
    if (!takes_part) continue;
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
