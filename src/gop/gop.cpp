#include "gop/gop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "gop/gop_work.hpp"
#include "gop/quantities.hpp"
#include "gradients/factor_gram.hpp"
#include "gradients/panel.hpp"
#include "gradients/products.hpp"
#include "linalg/lanczos.hpp"
#include "linalg/matrix_sums.hpp"
#include "linalg/redistribution.hpp"

namespace grokscope {
namespace {

at::Tensor column_major(const std::vector<double>& values, std::int64_t rows, std::int64_t cols) {
  return at::from_blob(const_cast<double*>(values.data()), {cols, rows}, at::kDouble).t().clone();
}

void store_gram_vectors(GopResult& result, const at::Tensor& vectors) {
  const auto columns = vectors.t().contiguous();
  result.gram_vectors.assign(columns.data_ptr<double>(), columns.data_ptr<double>() + columns.numel());
}

/// How many of the leading vectors are those of `values`, the eigenvalues of K that are published. Lanczos accepts residuals of
/// 1e-10 lambda_1, and within that the vector of a far smaller eigenvalue is arbitrary: |K u - lambda u| <= lambda / 1000 keeps
/// what a vector has of eigenspaces far from its own (gaps of about lambda) near 1e-3. The first one that fails ends the count.
std::int64_t count_resolved(const Eigenpairs& pairs, std::span<const double> values, double floor) {
  std::size_t count = 0;
  for (; count < pairs.values.size(); ++count) {
    const double lambda = values[count];
    // Of the published eigenvalue, which need not be the one that came with the vector.
    const double residual = pairs.residuals[count] * values.front() + std::abs(pairs.values[count] - lambda);
    if (!(lambda > floor && residual <= 1e-3 * lambda)) break;
  }
  return static_cast<std::int64_t>(count);
}

/// All other vectors are arbitrary: nobody gets to see them.
void refuse_arbitrary(GopResult& result, std::int64_t examples) {
  const auto count = result.subspace.count;
  std::fill(result.gram_vectors.begin() + count * examples, result.gram_vectors.end(), kMissing);
  result.subspace.vectors.slice(1, count).fill_(kMissing);
}

std::vector<double> replicate(const Communicator& comm, const at::Tensor& sharded_column) {
  const auto host = sharded_column.contiguous();
  return comm.all_gather_uneven<double>({host.data_ptr<double>(), static_cast<std::size_t>(host.numel())});
}

void set_check(Record& record, const std::string& name, const std::string& definition, double value) {
  record.set({"checks/" + name, name, "1", definition}, value);
}

}  // namespace

GopMeter::GopMeter(const Communicator& comm, std::vector<Layer> layers, GopSettings settings, Log& log)
    : comm_(comm), layers_(std::move(layers)), settings_(std::move(settings)), log_(log),
      grid_(comm, filling_shape(comm.size())) {}

void GopMeter::release() { grid_.release(); }

void GopMeter::log_once(const std::string& text) {
  if (std::find(logged_.begin(), logged_.end(), text) != logged_.end()) return;
  logged_.push_back(text);
  log_.info("{}", text);
}

SideChoice GopMeter::choose_side_for(const GradientMatrix& g, IndexRange parameters) const {
  double macs = 0;
  for (const auto& tap : g.mine().taps) {
    if (tap.offset >= parameters.begin && tap.offset < parameters.end) macs += gram_macs_per_pair(tap);
  }
  return choose_side({g.rows(), parameters.size(), macs, comm_.size(), settings_.path, settings_.memory_per_rank_gb});
}

SolverChoice GopMeter::choose_solver_for(std::int64_t n, std::int64_t matrices) const {
  return choose_solver({n, comm_.size(), settings_.solver, false, matrices});
}

GopResult GopMeter::measure(const GradientMatrix& g, const GopRequest& request, const Subspace* previous,
                            TimerTree& timers, const std::function<void()>& poll) {
  GopResult result;
  Work work{.g = g, .request = request, .previous = previous, .timers = timers, .poll = poll, .result = result};
  work.batch = std::make_unique<SpectrumBatch>(comm_);
  const auto side = choose_side_for(g, {0, g.cols()});
  work.side = side.side;
  result.path = side.side == Side::gram ? "gram" : "dense";
  log_once("full GOP: " + side.reason);
  for (const auto& tap : g.mine().taps) {
    if (!tap.has_kernel) log_.warn("no kernel for {} (its gradients are made one example at a time, slowly)", tap.parameter);
  }
  if (work.side == Side::gram) {
    fill_gram_by_layer(work);
  } else {
    fill_dense(work);
  }
  finish_layer_spectra(work);
  add_other_definitions(work);
  solve_primary(work);
  add_vectors(work);
  add_checks(work);
  return result;
}

void GopMeter::fill_gram_by_layer(Work& work) {
  const auto timer = work.timers.scope("gram");
  const auto n = work.g.rows();
  const auto nb = default_block_size(n, grid_.shape());
  work.matrix = std::make_unique<DistributedMatrix>(n, n, nb, grid_);
  auto& gram = *work.matrix;
  gram.set_triangles(Triangles::lower);
  work.builder = std::make_unique<GramBuilder>(work.g, work.g, target_of(gram));
  if (!settings_.layers || layers_.size() == 1) {
    work.builder->add({0, work.g.cols()}, Part::lower, target_of(gram), work.poll);
    if (settings_.layers && !layer_is_whole()) add_layer(work, layers_.front(), gram, gram_moments(gram));
  } else {
    DistributedMatrix layer_gram(n, n, nb, grid_);
    layer_gram.set_triangles(Triangles::lower);
    for (const auto& layer : layers_) {
      clear(layer_gram);
      work.builder->add(layer.range, Part::lower, target_of(layer_gram), work.poll);
      add_layer(work, layer, layer_gram, gram_moments(layer_gram, &gram));
    }
  }
  work.raw = gram_moments(gram);
}

void GopMeter::fill_dense(Work& work) {
  const auto timer = work.timers.scope("panel");
  const auto& g = work.g;
  const auto sum = weighted_sum(g, at::ones({g.rows(), 1}, at::kDouble));
  work.gradient_sum = replicate(comm_, sum.select(1, 0));
  work.matrix = std::make_unique<DistributedMatrix>(g.cols(), g.cols(), default_block_size(g.cols(), grid_.shape()), grid_);
  work.matrix->set_triangles(Triangles::lower);
  add_panel(g, {0, g.cols()}, Part::lower, target_of(*work.matrix), work.poll);
  work.raw = dense_moments(*work.matrix, work.gradient_sum);
  if (!settings_.layers || layer_is_whole()) return;
  for (const auto& layer : layers_) {
    if (layers_.size() == 1) {
      add_layer(work, layer, *work.matrix, work.raw);
      continue;
    }
    // Formed already, as a part of the whole.
    const auto block = diagonal_block(*work.matrix, layer.range, default_block_size(layer.range.size(), grid_.shape()));
    add_layer(work, layer, block, dense_moments(block, std::span<const double>(work.gradient_sum)
                                                          .subspan(static_cast<std::size_t>(layer.range.begin),
                                                                   static_cast<std::size_t>(layer.range.size()))));
  }
}

void GopMeter::add_other_definitions(Work& work) {
  const auto n = work.g.rows(), p = work.g.cols();
  const auto& names = settings_.definitions;
  const auto& primary = names.front();
  work.moments = primary == "covariance" ? covariance(work.raw, n, p)
                 : primary == "mean"     ? mean_outer_product(work.raw, n, p) : second_moment(work.raw, n, p);
  const auto is_listed = [&](const char* name) { return std::find(names.begin() + 1, names.end(), name) != names.end(); };
  auto& record = work.result.record;
  if (is_listed("second_moment")) {
    add_moment_metrics(record, "definitions/second_moment/", second_moment(work.raw, n, p), std::nullopt);
  }
  if (is_listed("covariance")) add_covariance(work);
  if (primary == "mean") return;
  // The outer product of the one mean gradient has rank one: its spectrum is |gbar|^2, and free.
  auto mean = mean_outer_product(work.raw, n, p);
  mean.examples = 1;
  add_moment_metrics(record, "definitions/mean/", mean, mean.trace);
  add_spectrum_metrics(record, "definitions/mean/", mean, {mean.trace}, 1, settings_.metrics);
}

void GopMeter::add_covariance(Work& work) {
  const auto n = work.g.rows();
  const auto moments = covariance(work.raw, n, work.g.cols());
  auto& record = work.result.record;
  const std::string prefix = "definitions/covariance/";
  if (!work.request.covariance_spectrum) return add_moment_metrics(record, prefix, moments, std::nullopt);
  const auto timer = work.timers.scope("covariance");
  auto centred = *work.matrix;
  centre(work, centred);
  const auto choice = choose_solver_for(centred.rows());
  if (needs_both_triangles(choice.solver)) mirror_lower(centred);
  auto values = solve_eigenvalues(centred, choice).values;
  for (auto& value : values) value /= static_cast<double>(n);
  add_moment_metrics(record, prefix, moments, values.front());
  add_spectrum_metrics(record, prefix, moments, values, centred.rows(), settings_.metrics);
}

void GopMeter::centre(const Work& work, DistributedMatrix& matrix) const {
  if (work.side == Side::gram) {
    centre_gram(matrix);
  } else {
    centre_dense(matrix, work.gradient_sum, work.g.rows());
  }
}

void GopMeter::solve_primary(Work& work) {
  const auto n = work.g.rows();
  const auto& primary = settings_.definitions.front();
  auto& result = work.result;
  if (primary == "covariance") centre(work, *work.matrix);
  auto& matrix = *work.matrix;
  const auto rank_one = primary == "mean";
  const auto side = rank_one ? 1 : matrix.rows();
  if (rank_one) {
    work.spectrum.values = {work.moments.trace * static_cast<double>(n)};
    result.solver = "closed form";
    result.subspace.count = work.moments.trace > 0 ? 1 : 0;
  } else {
    if (settings_.spectrum == "full") {
      const auto choice = choose_solver_for(side);
      log_once(fmt::format("full GOP: eigenvalues by {}", choice.reason));
      if (needs_both_triangles(choice.solver)) {
        const auto timer = work.timers.scope("mirror");
        mirror_lower(matrix);
      }
      const auto timer = work.timers.scope("eigenvalues");
      work.spectrum = solve_eigenvalues(matrix, choice);
      result.solver = name_of(choice.solver);
    }
    work.poll();
    const auto timer = work.timers.scope("top_k");
    const auto k = std::min({settings_.metrics.top_k, side, n, work.g.cols()});
    auto top = top_eigenpairs(matrix, k, {settings_.seed, 1e-10, 400, true, work.spectrum.values});
    if (settings_.spectrum != "full") {
      work.spectrum.values = top.pairs.values;
      result.solver = top.converged ? "lanczos" : "full solve";
    }
    const auto& values = work.spectrum.values;
    result.subspace.count = count_resolved(top.pairs, values, noise_floor(values.front(), side));
    work.eigenpair_residual = *std::max_element(top.pairs.residuals.begin(), top.pairs.residuals.end());
    work.leading_vectors = std::move(top.pairs.vectors);
  }
  result.eigenvalues = work.spectrum.values;
  for (auto& value : result.eigenvalues) value /= static_cast<double>(n);
  result.noise_floor = noise_floor(result.eigenvalues.front(), side);
  add_moment_metrics(result.record, "", work.moments, result.eigenvalues.front());
  const auto smaller = static_cast<std::size_t>(std::min(n, work.g.cols()));
  if (result.eigenvalues.size() > smaller) result.eigenvalues.resize(smaller);
  auto moments = work.moments;
  if (rank_one) moments.examples = 1;
  add_spectrum_metrics(result.record, "", moments, result.eigenvalues, side, settings_.metrics);
  if (settings_.layers && layer_is_whole()) add_whole_as_layer(work, side);
}

void GopMeter::add_vectors(Work& work) {
  const auto timer = work.timers.scope("vectors");
  const auto n = work.g.rows(), p = work.g.cols();
  auto& result = work.result;
  const bool centred = settings_.definitions.front() == "covariance";
  at::Tensor gradient_sum;  // sharded [P, 1]
  double sum_through_g = 0;  // 1^T G s for s = sum_i g_i
  if (settings_.definitions.front() == "mean") {
    gradient_sum = weighted_sum(work.g, at::ones({n, 1}, at::kDouble));
    sum_through_g = apply(work.g, gradient_sum).sum().item<double>();
    result.subspace.vectors = gradient_sum.clone();
    result.gram_vectors.assign(static_cast<std::size_t>(n), 1 / std::sqrt(static_cast<double>(n)));
    result.k = 1;
  } else if (work.side == Side::gram) {
    // One pass for the eigenvectors in parameter space and the summed gradient. Centred weights give the covariance's.
    const auto leading = leading_matrix(work, n);
    const auto weights = centred ? leading - leading.mean(0, true) : leading;
    const auto sums = weighted_sum(work.g, at::cat({weights, at::ones({n, 1}, at::kDouble)}, 1));
    gradient_sum = sums.slice(1, result.k);
    result.subspace.vectors = sums.slice(1, 0, result.k).clone();
    store_gram_vectors(result, leading);
  } else {
    const auto share = even_share(p, comm_.size(), comm_.rank());
    result.subspace.vectors = leading_matrix(work, p).slice(0, share.begin, share.end).clone();
    gradient_sum = column_major(work.gradient_sum, p, 1).slice(0, share.begin, share.end);
    auto products = apply(work.g, at::cat({result.subspace.vectors, gradient_sum}, 1));
    sum_through_g = products.slice(1, result.k).sum().item<double>();
    auto gram_vectors = products.slice(1, 0, result.k);
    if (centred) gram_vectors = gram_vectors - gram_vectors.mean(0, true);
    store_gram_vectors(result, gram_vectors / gram_vectors.norm(2, 0, true));
  }
  // Normalised by computed lengths, not by sqrt(lambda): they differ near the noise floor, and there we refuse.
  const auto lengths = inner_products(comm_, result.subspace.vectors, result.subspace.vectors).diagonal().sqrt();
  result.subspace.vectors /= lengths.unsqueeze(0);
  refuse_arbitrary(result, n);

  const double square = inner_products(comm_, gradient_sum, gradient_sum).item<double>();
  // On the dense side the tiles know nothing of 1^T K 1; G times the sum does.
  const double other = work.side == Side::gram ? work.raw.ones_form : sum_through_g;
  set_check(result.record, "mean_gradient_residual",
            "|1^T K 1 - |sum_i g_i|^2| / (N tr K): K from the Gram tiles (or G times the sum), the sum from the taps; NaN where "
            "tr K is 0",
            work.raw.trace > 0 ? std::abs(other - square) / (static_cast<double>(n) * work.raw.trace) : kMissing);
  add_directions(work, gradient_sum, square);
}

at::Tensor GopMeter::leading_matrix(Work& work, std::int64_t side) const {
  work.result.k = static_cast<std::int64_t>(work.leading_vectors.size()) / side;
  return column_major(work.leading_vectors, side, work.result.k);
}

void GopMeter::add_directions(Work& work, const at::Tensor& gradient_sum, double square) {
  auto& result = work.result;
  const auto& now = result.subspace;
  const double along = inner_products(comm_, now.vectors.slice(1, 0, 1), gradient_sum).item<double>();
  result.record.set(gop_quantity("", "gop_mean_gradient_alignment", work.moments.definition),
                    now.count > 0 && square > 0 ? along * along / square : kMissing);
  double overlap = kMissing;
  if (work.previous != nullptr && std::min(work.previous->count, now.count) > 0) {
    const auto k = std::min(work.previous->count, now.count);
    const auto cross = inner_products(comm_, now.vectors.slice(1, 0, k), work.previous->vectors.slice(1, 0, k));
    overlap = cross.square().sum().item<double>() / static_cast<double>(k);
  }
  result.record.set(gop_quantity("", "gop_subspace_overlap", work.moments.definition), overlap);
}

void GopMeter::add_checks(Work& work) {
  auto& record = work.result.record;
  // Without a full solve there is nothing to add up.
  const bool solved = settings_.spectrum == "full" && settings_.definitions.front() != "mean";
  set_check(record, "trace_residual", "|sum lambda - tr K| / sum |lambda| from the eigensolver; NaN without a full solve",
            solved ? work.spectrum.trace_residual : kMissing);
  set_check(record, "norm_residual", "|sum lambda^2 - |K|_F^2| / |K|_F^2 from the eigensolver; NaN without a full solve",
            solved ? work.spectrum.norm_residual : kMissing);
  set_check(record, "eigenpair_residual", "max over the top k of |K u - lambda u| / lambda_1", work.eigenpair_residual);
  double autograd = kMissing;
  if (work.request.autograd_square && work.raw.trace > 0) {
    autograd = std::abs(work.raw.ones_form - *work.request.autograd_square) /
               (static_cast<double>(work.g.rows()) * work.raw.trace);
  }
  set_check(record, "autograd_residual", "|1^T K 1 - |sum_i g_i|^2| / (N tr K), the sum from the training gradient", autograd);
}

}  // namespace grokscope
