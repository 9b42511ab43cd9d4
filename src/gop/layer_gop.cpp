// The layers' part of a measurement: norms at every tracked epoch, spectra on their own schedule.
#include <fmt/format.h>

#include <algorithm>

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

void GopMeter::add_layer(Work& work, const Layer& layer, DistributedMatrix& matrix) {
  const auto n = work.g.rows();
  const auto prefix = "layers/" + layer.name + "/";
  RawMoments raw;
  if (work.side == Side::gram) {
    raw = gram_moments(matrix);
  } else {
    raw = dense_moments(matrix, std::span<const double>(work.gradient_sum)
                                    .subspan(static_cast<std::size_t>(layer.range.begin),
                                             static_cast<std::size_t>(layer.range.size())));
  }
  const auto moments = second_moment(raw, n, layer.range.size());
  if (!work.request.layer_spectra) {
    const auto timer = work.timers.scope("layer_norms");
    const double largest = raw.trace > 0 ? largest_eigenvalue(matrix, settings_.seed) : 0;
    add_moment_metrics(work.result.record, prefix, moments, largest / static_cast<double>(n));
    return;
  }
  const auto timer = work.timers.scope("layer_spectra");
  // The full matrix's side may be the larger one for a small layer.
  const auto side = choose_side_for(work.g, layer.range);
  LayerSpectrum spectrum{layer.name, {}, 0, side.side == Side::gram ? "gram" : "dense"};
  std::int64_t solved = 0;
  const auto solve = [&](DistributedMatrix& own) {
    mirror_lower(own);
    own.set_triangles(Triangles::full);
    spectrum.eigenvalues = solve_eigenvalues(own, choose_solver_for(own.rows())).values;
    solved = own.rows();
  };
  if (side.side == work.side) {
    auto copy = matrix;
    solve(copy);
  } else {
    const auto size = side.side == Side::gram ? n : layer.range.size();
    DistributedMatrix own(size, size, default_block_size(size, grid_.shape()), grid_);
    own.set_triangles(Triangles::lower);
    if (side.side == Side::gram) {
      GramBuilder(work.g, work.g, target_of(own)).add(layer.range, Part::lower, target_of(own), work.poll);
    } else {
      add_panel(work.g, layer.range, Part::lower, target_of(own), work.poll);
    }
    solve(own);
  }
  for (auto& value : spectrum.eigenvalues) value /= static_cast<double>(n);
  spectrum.noise_floor = noise_floor(spectrum.eigenvalues.front(), solved);
  add_moment_metrics(work.result.record, prefix, moments, spectrum.eigenvalues.front());
  add_spectrum_metrics(work.result.record, prefix, moments, spectrum.eigenvalues, solved, settings_.metrics);
  spectrum.eigenvalues.resize(static_cast<std::size_t>(std::min(n, layer.range.size())));
  work.result.layer_spectra.push_back(std::move(spectrum));
}

}  // namespace grokscope
