#include "gradients/gram.hpp"

#include <algorithm>

#include "gradients/parameter_gram.hpp"

namespace grokscope {
namespace {

std::vector<std::int64_t> global_indices(const BlockCyclic& dist, int process) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(dist.local_count(process)));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    indices[i] = dist.global_index(static_cast<std::int64_t>(i), process);
  }
  return indices;
}

/// Hands a block of the caller's storage to `add`, on the device where the taps are.
void add_to(const BlockCyclicTarget& target, IndexRange rows, IndexRange cols, at::Device device,
            const std::function<void(at::Tensor&)>& add) {
  if (rows.size() <= 0 || cols.size() <= 0) return;
  double* corner = target.local.data() + rows.begin + cols.begin * target.ld;
  auto block = at::from_blob(corner, {rows.size(), cols.size()}, {1, target.ld}, at::kDouble);
  if (device.is_cpu()) return add(block);
  auto on_device = at::zeros({cols.size(), rows.size()}, at::TensorOptions(device).dtype(at::kDouble)).t();
  add(on_device);
  block.add_(on_device.to(at::kCPU));
}

IndexRange strip(std::int64_t step, std::int64_t n) { return {std::min(step * kGramTile, n), std::min((step + 1) * kGramTile, n)}; }

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
  const auto cols_tap = same_taps_ ? Tap{} : fetch(*g2_, cols_);
  const auto me = static_cast<std::size_t>(g_->comm().rank());
  const auto n_rows = static_cast<std::int64_t>(rows_[me].size()), n_cols = static_cast<std::int64_t>(cols_[me].size());
  const TapOf of_rows{rows_tap, n_rows};
  const ParameterGram gram(of_rows, same_taps_ ? of_rows : TapOf{cols_tap, n_cols});
  const int rank = g_->comm().rank(), my_row = target.grid_row(rank), my_col = target.grid_col(rank);
  const auto add = [&](IndexRange rows, IndexRange cols, auto part_of_gram) {
    add_to(target, rows, cols, gram.device(), [&](at::Tensor& block) { (gram.*part_of_gram)(rows, cols, block); });
  };
  // Process 0 of each dimension holds most: every rank makes as many steps as that one, so that polls match.
  const auto most = std::max(target.row_dist.local_count(0), target.col_dist.local_count(0));
  for (std::int64_t step = 0; step < (most + kGramTile - 1) / kGramTile; ++step) {
    poll();
    if (const auto rows = strip(step, n_rows); rows.size() > 0) {
      // Nothing right of the diagonal of the last row is wanted.
      const auto last = target.row_dist.global_index(rows.end - 1, my_row);
      const auto end = part == Part::whole ? n_cols : target.col_dist.local_lower_bound(last + 1, my_col);
      for (std::int64_t tile = 0; tile * kGramTile < end; ++tile) add(rows, strip(tile, end), &ParameterGram::add_tile);
      if (gram.has_repeated_cols()) add(rows, {0, end}, &ParameterGram::add_repeated_cols);
    }
    if (const auto cols = strip(step, n_cols); cols.size() > 0 && gram.has_repeated_rows()) {
      // Nor above the diagonal of the first column.
      const auto first = target.col_dist.global_index(cols.begin, my_col);
      const auto begin = part == Part::whole ? 0 : target.row_dist.local_lower_bound(first, my_row);
      add({begin, n_rows}, cols, &ParameterGram::add_repeated_rows);
    }
  }
}

}  // namespace grokscope
