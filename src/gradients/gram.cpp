#include "gradients/gram.hpp"

#include "gradients/factor_gram.hpp"

namespace grokscope {
namespace {

std::vector<std::int64_t> global_indices(const BlockCyclic& dist, int process) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(dist.local_count(process)));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    indices[i] = dist.global_index(static_cast<std::int64_t>(i), process);
  }
  return indices;
}

}  // namespace

GramBuilder::GramBuilder(const GradientMatrix& g, const GradientMatrix& g2, const BlockCyclicTarget& target)
    : rank_(g.comm().rank()) {
  require(g.rows() == target.row_dist.n && g2.rows() == target.col_dist.n, "Gram target of another size");
  const auto none = std::vector<std::int64_t>{};
  row_taps_ = g.fetch_rows([&](int r) {
    return target.has(r) ? global_indices(target.row_dist, target.grid_row(r)) : none;
  });
  const bool same_examples = &g == &g2 && target.grid_rows() == 1 && target.grid_cols() == 1;
  col_taps_ = same_examples ? row_taps_ : g2.fetch_rows([&](int r) {
    return target.has(r) ? global_indices(target.col_dist, target.grid_col(r)) : none;
  });
}

void GramBuilder::add(IndexRange parameters, Part part, const BlockCyclicTarget& target,
                      const std::function<void()>& poll) const {
  // Process 0 of each dimension holds most: every rank makes as many steps as that one, so that polls match.
  const auto row_steps = (target.row_dist.local_count(0) + kGramTile - 1) / kGramTile;
  for (std::size_t k = 0; k < row_taps_.taps.size(); ++k) {
    const auto& tap = row_taps_.taps[k];
    if (tap.offset < parameters.begin || tap.offset >= parameters.end) continue;
    const auto rows_tap = to_double(tap);
    const auto cols_tap = to_double(col_taps_.taps[k]);
    for (std::int64_t step = 0; step < row_steps; ++step) {
      poll();
      const IndexRange rows{std::min(step * kGramTile, row_taps_.n), std::min((step + 1) * kGramTile, row_taps_.n)};
      if (rows.size() == 0) continue;
      const auto last_row = target.row_dist.global_index(rows.end - 1, target.grid_row(rank_));
      // Nothing right of the diagonal of the last row is wanted.
      const auto col_end = part == Part::whole ? col_taps_.n
                                               : target.col_dist.local_lower_bound(last_row + 1, target.grid_col(rank_));
      for (std::int64_t begin = 0; begin < col_end; begin += kGramTile) {
        const IndexRange cols{begin, std::min(begin + kGramTile, col_end)};
        double* corner = target.local.data() + rows.begin + begin * target.ld;
        auto tile = at::from_blob(corner, {rows.size(), cols.size()}, {1, target.ld}, at::kDouble);
        const auto device = rows_tap.uses.front().out.values.defined() ? rows_tap.uses.front().out.values.device()
                                                                       : rows_tap.uses.front().in.values.device();
        if (device.is_cpu()) {
          add_gram_tile(rows_tap, rows, cols_tap, cols, tile);
        } else {
          auto on_device = at::zeros({cols.size(), rows.size()}, at::TensorOptions(device).dtype(at::kDouble)).t();
          add_gram_tile(rows_tap, rows, cols_tap, cols, on_device);
          tile.add_(on_device.to(at::kCPU));
        }
      }
    }
  }
}

}  // namespace grokscope
