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

/// Adds one tile to the caller's storage, from wherever the taps are.
void add_to(const BlockCyclicTarget& target, GramKernel kernel, const Tap& a, IndexRange rows, const Tap& b, IndexRange cols) {
  double* corner = target.local.data() + rows.begin + cols.begin * target.ld;
  auto tile = at::from_blob(corner, {rows.size(), cols.size()}, {1, target.ld}, at::kDouble);
  const auto& use = a.uses.front();
  const auto device = use.out.values.defined() ? use.out.values.device() : use.in.values.device();
  if (device.is_cpu()) return add_gram_tile(kernel, a, rows, b, cols, tile);
  auto on_device = at::zeros({cols.size(), rows.size()}, at::TensorOptions(device).dtype(at::kDouble)).t();
  add_gram_tile(kernel, a, rows, b, cols, on_device);
  tile.add_(on_device.to(at::kCPU));
}

}  // namespace

GramBuilder::GramBuilder(const GradientMatrix& g, const GradientMatrix& g2, const BlockCyclicTarget& target)
    : g_(&g), g2_(&g2), same_taps_(&g == &g2 && target.grid_rows() == 1 && target.grid_cols() == 1) {
  require(g.rows() == target.row_dist.n && g2.rows() == target.col_dist.n, "Gram target of another size");
  for (int r = 0; r < g.comm().size(); ++r) {
    const auto none = std::vector<std::int64_t>{};
    rows_.push_back(target.has(r) ? global_indices(target.row_dist, target.grid_row(r)) : none);
    cols_.push_back(target.has(r) ? global_indices(target.col_dist, target.grid_col(r)) : none);
  }
}

void GramBuilder::add(IndexRange parameters, Part part, const BlockCyclicTarget& target,
                      const std::function<void()>& poll) const {
  for (const auto& tap : g_->mine().taps) {
    if (tap.offset < parameters.begin || tap.offset >= parameters.end) continue;
    add_parameter({tap.offset, tap.offset + tap.size()}, part, target, poll);
  }
}

/// Taps come to where the tiles need them, and go before those of the next parameter come.
void GramBuilder::add_parameter(IndexRange parameter, Part part, const BlockCyclicTarget& target,
                                const std::function<void()>& poll) const {
  const auto fetch = [&](const GradientMatrix& g, const RowsOfRanks& wanted) {
    const auto taps = g.fetch_rows({parameter}, [&](int r) { return wanted[static_cast<std::size_t>(r)]; });
    require(taps.taps.size() == 1, "a Gram matrix of gradients with respect to different parameters");
    return to_double(taps.taps.front());
  };
  const auto rows_tap = fetch(*g_, rows_);
  const auto cols_tap = same_taps_ ? rows_tap : fetch(*g2_, cols_);
  const auto kernel = cheaper_kernel(rows_tap);
  const int rank = g_->comm().rank();
  const auto n_rows = static_cast<std::int64_t>(rows_[static_cast<std::size_t>(rank)].size());
  const auto n_cols = static_cast<std::int64_t>(cols_[static_cast<std::size_t>(rank)].size());
  // Process 0 of each dimension holds most: every rank makes as many steps as that one, so that polls match.
  const auto row_steps = (target.row_dist.local_count(0) + kGramTile - 1) / kGramTile;
  for (std::int64_t step = 0; step < row_steps; ++step) {
    poll();
    const IndexRange rows{std::min(step * kGramTile, n_rows), std::min((step + 1) * kGramTile, n_rows)};
    if (rows.size() == 0) continue;
    const auto last_row = target.row_dist.global_index(rows.end - 1, target.grid_row(rank));
    // Nothing right of the diagonal of the last row is wanted.
    const auto col_end = part == Part::whole ? n_cols : target.col_dist.local_lower_bound(last_row + 1, target.grid_col(rank));
    for (std::int64_t begin = 0; begin < col_end; begin += kGramTile) {
      add_to(target, kernel, rows_tap, rows, cols_tap, {begin, std::min(begin + kGramTile, col_end)});
    }
  }
}

}  // namespace grokscope
