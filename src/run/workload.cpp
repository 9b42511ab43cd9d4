#include "run/workload.hpp"

#include <algorithm>

#include "gop/dense_rows.hpp"
#include "gradients/factor_gram.hpp"
#include "nn/pass.hpp"
#include "probes/factors.hpp"

namespace grokscope {
namespace {

double square(std::int64_t n) { return static_cast<double>(n) * static_cast<double>(n); }

/// Numbers of one stored matrix of this width.
double stored_numbers(const StorageOptions& storage, std::int64_t width) {
  return storage.layout == "lower" ? static_cast<double>(LowerTiles::of(width).elements()) : square(width);
}

double macs_in(const Taps& taps, IndexRange range) {
  double macs = 0;
  for (const auto& tap : taps.taps) {
    if (tap.offset >= range.begin && tap.offset < range.end) macs += gram_macs_per_pair(tap);
  }
  return macs;
}

/// Multiplications of an example's gradient with one vector: a token looks up a row of the other factor.
double product_macs(const Taps& taps) {
  double macs = 0;
  for (const auto& tap : taps.taps) {
    for (const auto& use : tap.uses) {
      const auto out = use.out.kind == Factor::Kind::one_hot ? 1 : use.out.dim;
      const auto in = use.in.kind == Factor::Kind::one_hot ? 1 : use.in.dim;
      macs += static_cast<double>(use.groups * use.tokens * out * in);
    }
  }
  return macs;
}

/// Tracked moments at which matrices are due. Of the adaptive kind nobody knows beforehand which they are: an upper bound.
std::int64_t storable_moments(const ScheduleOptions& tracked, const ScheduleOptions& storing, std::int64_t steps,
                              std::int64_t per_epoch) {
  const auto schedule = [&](const ScheduleOptions& s) { return Schedule(s, s.unit == "epoch" ? steps / per_epoch : steps); };
  const auto tracks = schedule(tracked), stores = schedule(storing);
  if (tracked.kind == "adaptive" || storing.kind == "adaptive") return std::min(tracks.count(), stores.count());
  std::int64_t count = 0;
  for (std::int64_t step = 0; step <= steps; ++step) {
    const Moment now{step / per_epoch, step, step % per_epoch, step == steps};
    if (tracks.due(now) && stores.due(now)) ++count;
  }
  return count;
}

/// Lengths in examples, steps and moments.
Workload lengths_of(const RunConfiguration& c) {
  Workload w;
  const auto& data = c.task->data();
  w.examples = data.train.size();
  w.test_examples = data.test.size();
  w.batch = c.training.batch_size.is_full() ? w.examples : std::min(w.examples, c.training.batch_size.examples);
  const auto per_epoch = (w.examples + w.batch - 1) / w.batch;
  w.steps = c.training.steps.value_or(c.training.epochs * per_epoch);
  w.epochs = w.steps / per_epoch;
  w.evaluations = (c.training.log_unit == "step" ? w.steps : w.epochs) / c.training.log_interval + 1;
  const auto& split = c.gop.split == "train" ? data.train : data.test;
  w.tracked = c.gop.examples.is_all() ? split.size() : std::min(split.size(), c.gop.examples.count);
  if (!c.gop.enabled) return w;
  const auto count = [&](const ScheduleOptions& s) { return Schedule(s, s.unit == "epoch" ? w.epochs : w.steps).count(); };
  w.moments = count(c.gop.effective_schedule());
  w.wanted = c.storage.stores() ? count(c.storage.gop_schedule) : 0;
  w.storable = storable_moments(c.gop.effective_schedule(), c.storage.gop_schedule, w.steps, per_epoch);
  w.stored = c.storage.stores() ? w.storable : 0;
  return w;
}

/// Forming half of a matrix takes half of the multiplications.
double dense_flops(const RunConfiguration& c, const Workload& w) {
  const auto& parameters = c.task->model().parameters;
  double elements = c.storage.store_full_gop == StorePolicy::dense ? stored_numbers(c.storage, parameters.total()) : 0;
  const bool layer_is_whole = parameters.layers().size() == 1 && c.storage.store_full_gop == StorePolicy::dense;
  if (c.storage.store_layer_gops == StorePolicy::dense && !layer_is_whole) {
    for (const auto& layer : parameters.layers()) elements += stored_numbers(c.storage, layer.range.size());
  }
  return 2 * elements * static_cast<double>(w.tracked);
}

}  // namespace

Taps sample_taps(const RunConfiguration& c) {
  const auto few = c.task->data().train.rows({0, std::min<std::int64_t>(4, c.task->data().train.size())});
  return backward_pass(c.task->model(), c.task->loss(), few.inputs, few.targets, Taping::on).taps;
}

StoredBytes stored_bytes(const RunConfiguration& c, const Taps& sample) {
  const auto& parameters = c.task->model().parameters;
  const double bytes = c.storage.float_precision == "float32" ? 4 : 8;
  const auto w = lengths_of(c);
  StoredBytes stored;
  const auto k = static_cast<double>(c.gop.top_k_eigen);
  stored.spectra = 8 * (static_cast<double>(std::min(w.tracked, parameters.total())) + k * static_cast<double>(w.tracked));
  if (c.gop.store_eigenvectors) stored.spectra += 8 * k * static_cast<double>(parameters.total());
  stored.full_dense = bytes * stored_numbers(c.storage, parameters.total());
  if (parameters.layers().size() > 1) {
    for (const auto& layer : parameters.layers()) stored.layers_dense += bytes * stored_numbers(c.storage, layer.range.size());
  }
  stored.factors = static_cast<double>(factor_bytes(sample, w.tracked));
  const auto full = c.storage.store_full_gop, layers = c.storage.store_layer_gops;
  if (full == StorePolicy::dense) stored.chosen += stored.full_dense;
  if (layers == StorePolicy::dense) {
    const bool is_alone = parameters.layers().size() == 1 && full != StorePolicy::dense;
    stored.chosen += is_alone ? stored.full_dense : stored.layers_dense;
  }
  if (full == StorePolicy::factors || layers == StorePolicy::factors) stored.chosen += stored.factors;
  return stored;
}

Workload workload_of(const RunConfiguration& c, const Taps& sample) {
  const auto& parameters = c.task->model().parameters;
  auto w = lengths_of(c);
  w.parameters = parameters.total();
  w.parameter_bytes = static_cast<double>(w.parameters) * static_cast<double>(elementSize(parameter_type(c.training)));
  for (const auto& layer : parameters.layers()) w.layers.push_back({layer.range.size(), macs_in(sample, layer.range)});
  w.gram_macs = macs_in(sample, {0, w.parameters});
  w.product_macs = product_macs(sample);
  const double samples = static_cast<double>(w.tracked) / static_cast<double>(std::max<std::int64_t>(1, sample.n));
  w.tap_bytes = static_cast<double>(sample.bytes()) * samples;
  for (const auto& tap : sample.taps) {
    w.largest_tap_bytes = std::max(w.largest_tap_bytes, static_cast<double>(Taps{sample.n, {tap}}.bytes()) * samples);
  }
  w.dense_flops = dense_flops(c, w);
  w.stored_bytes = stored_bytes(c, sample).chosen;
  w.panel_bytes = c.storage.panel_memory_gb * 1e9;
  w.memory_per_rank_gb = c.limits.memory_per_rank_gb;
  w.top_k = c.gop.top_k_eigen;
  w.layer_spectra = c.gop.compute_per_layer ? c.gop.layer_spectra : 0;
  w.covariance_spectra = std::ranges::find(c.gop.definitions, "covariance") == c.gop.definitions.end() ? 0 : c.gop.covariance_spectra;
  w.full_spectrum = c.gop.compute_full && c.gop.spectrum == "full";
  w.layer_norms = c.gop.compute_per_layer;
  w.shares_backward = w.batch == w.examples && !c.task->is_stochastic() && c.gop.split == "train" && w.tracked == w.examples;
  w.path = c.gop.path;
  w.solver = c.gop.solver;
  return w;
}

}  // namespace grokscope
