// The layers' part of a measurement: norms at every tracked epoch, spectra on their own schedule.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "gop/gop_work.hpp"
#include "gradients/panel.hpp"
#include "gradients/products.hpp"
#include "linalg/lanczos.hpp"
#include "linalg/redistribution.hpp"

namespace grokscope {
namespace {

/// The largest eigenvalue alone. Its error is the square of the residual, so that half of the digits suffice there.
double largest_eigenvalue(const DistributedMatrix& matrix, std::uint64_t seed) {
  return top_eigenpairs(matrix, 1, {seed, 1e-7, 400, false, {}}).pairs.values.front();
}

}  // namespace

void GopMeter::add_layer(Work& work, const Layer& layer, const DistributedMatrix& matrix, const RawMoments& raw) {
  const auto n = work.g.rows();
  const auto moments = second_moment(raw, n, layer.range.size());
  if (work.request.layer_spectra) return start_layer_spectrum(work, layer, moments, matrix);
  const auto timer = work.timers.scope("layer_norms");
  const double largest = raw.trace > 0 ? largest_eigenvalue(matrix, settings_.seed) : raw.trace;  // 0, or no number
  add_moment_metrics(work.result.record, "layers/" + layer.name + "/", moments, largest / static_cast<double>(n));
}

void GopMeter::start_layer_spectrum(Work& work, const Layer& layer, const GopMoments& moments,
                                    const DistributedMatrix& matrix) {
  const auto timer = work.timers.scope("layer_spectra");
  // The full matrix's side may be the larger one for a small layer.
  const auto side = choose_side_for(work.g, layer.range).side;
  const auto size = side == Side::gram ? work.g.rows() : layer.range.size();
  const auto choice = choose_solver_for(size, static_cast<std::int64_t>(layers_.size()));
  Work::LayerSolve solve{&layer, moments, side, size, std::nullopt};
  const auto submit = [&](const DistributedMatrix& own) {
    if (choice.solver == Solver::lapack) return work.batch->add(own);
    std::optional<DistributedMatrix> full;
    if (needs_both_triangles(choice.solver)) mirror_lower(full.emplace(own));
    solve.values = solve_eigenvalues(full ? *full : own, choice).values;
  };
  if (side == work.side) {
    submit(matrix);
  } else {
    DistributedMatrix own(size, size, default_block_size(size, grid_.shape()), grid_);
    own.set_triangles(Triangles::lower);
    if (side == Side::gram) {
      GramBuilder(work.g, work.g, target_of(own)).add(layer.range, Part::lower, target_of(own), work.poll);
    } else {
      add_panel(work.g, layer.range, Part::lower, target_of(own), work.poll);
    }
    submit(own);
  }
  work.layer_solves.push_back(std::move(solve));
}

void GopMeter::finish_layer_spectra(Work& work) {
  if (work.layer_solves.empty()) return;
  const auto timer = work.timers.scope("layer_spectra");
  auto batch = work.batch->finish();
  auto next = batch.begin();
  for (auto& solve : work.layer_solves) {
    auto values = solve.values ? std::move(*solve.values) : std::move((next++)->values);
    for (auto& value : values) value /= static_cast<double>(work.g.rows());
    const auto prefix = "layers/" + solve.layer->name + "/";
    add_moment_metrics(work.result.record, prefix, solve.moments, values.front());
    add_spectrum_metrics(work.result.record, prefix, solve.moments, values, solve.size, settings_.metrics);
    const double floor = noise_floor(values.front(), solve.size);
    values.resize(static_cast<std::size_t>(std::min(work.g.rows(), solve.layer->range.size())));
    work.result.layer_spectra.push_back({solve.layer->name, std::move(values), floor, solve.side == Side::gram ? "gram" : "dense"});
  }
}

void GopMeter::add_whole_as_layer(Work& work, std::int64_t side) {
  auto& result = work.result;
  const auto prefix = "layers/" + layers_.front().name + "/";
  add_moment_metrics(result.record, prefix, work.moments, result.eigenvalues.front());
  if (!work.request.layer_spectra) return;
  add_spectrum_metrics(result.record, prefix, work.moments, result.eigenvalues, side, settings_.metrics);
  result.layer_spectra.push_back({layers_.front().name, result.eigenvalues, result.noise_floor, result.path});
}

}  // namespace grokscope
