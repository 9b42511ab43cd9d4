#include "probes/gop_probe.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "gop/dense_rows.hpp"
#include "gop/quantities.hpp"
#include "io/matrix_block.hpp"
#include "probes/factors.hpp"
#include "probes/tracked_examples.hpp"

namespace grokscope {
namespace {

constexpr double kWorthSaying_s = 10;

/// What h5web and silx draw when they open the group of a spectrum.
const Attributes kPlot{{"NX_class", std::string("NXdata")},
                       {"signal", std::string("eigenvalues")},
                       {"SILX_style", std::string("{\"signal_scale_type\": \"log\"}")}};

/// A spectrum, described as the series of the same name in metrics.h5 is.
NamedArray spectrum_array(const std::string& name, const std::vector<double>& values) {
  const auto quantity = gop_quantity("", name);
  return NamedArray::from<double>(name, {static_cast<std::int64_t>(values.size())}, values)
      .described({quantity.long_name, quantity.units, quantity.definition});
}

Description gop_description() {
  return {"gradient outer product", "loss^2/parameter^2",
          "C = (1/N) sum_i g_i g_i^T over the tracked examples; rows and columns in the order of /parameters"};
}

/// The N x N matrix that has the eigenvalues of the GOP of this definition, up to 1/N.
std::string gram_of(const std::string& definition) {
  return definition == "covariance" ? "H G G^T H, H = I - 1 1^T / N" : "G G^T";
}

}  // namespace

GopProbe::GopProbe(ProbeSurroundings around, const GopTrackingOptions& options, const StorageOptions& storage,
                   const TrainingOptions& training, std::int64_t last, bool full_batch, double memory_per_rank_gb)
    : around_(around), options_(options), storage_(storage),
      tracked_(tracked_examples(around.task.data(), options, static_cast<std::uint64_t>(training.seed))),
      shares_backward_(full_batch && !around.task.is_stochastic() && options.split == "train" &&
                       tracked_.size() == around.task.data().train.size()),
      schedule_(options.effective_schedule(), last), storing_(storage.gop_schedule, last),
      meter_(around.comm, around.task.model().parameters.layers(),
             options.settings(static_cast<std::uint64_t>(training.seed), memory_per_rank_gb), around.log) {
  around_.log.info("tracking {} of {} examples of the {} split{}", tracked_.size(),
                   (options.split == "train" ? around.task.data().train : around.task.data().test).size(), options.split,
                   shares_backward_ ? ", from the training pass itself" : ", in a pass of its own");
  const auto most = std::min(tracked_.size(), around.task.model().parameters.total());
  if (options_.top_k_eigen > most) {
    around_.log.warn("gop_tracking.top_k_eigen is {}, but there are {} eigenvalues that need not be zero: the others are NaN",
                     options_.top_k_eigen, most);
  }
}

GradientMatrix GopProbe::gradients(StepPass* pass) const {
  if (pass != nullptr && shares_backward_) return GradientMatrix(around_.comm, pass->taps);
  const auto timer = around_.timers.scope("tracking_pass");
  return gradients_of(around_.comm, around_.task, tracked_);
}

void GopProbe::measure(const ProbeMoment& moment) {
  const auto timer = around_.timers.scope("gop");
  const Stopwatch watch;
  GopRequest request;
  const auto every = [&](std::int64_t k) { return k > 0 && (count_ % k == 0 || moment.now.final); };
  request.layer_spectra = options_.compute_per_layer && every(options_.layer_spectra);
  request.covariance_spectrum = every(options_.covariance_spectra);
  if (moment.pass != nullptr && shares_backward_) request.autograd_square = moment.pass->gradient_square;
  const auto g = gradients(moment.pass);
  auto result = meter_.measure(g, request, previous_ ? &*previous_ : nullptr, around_.timers, [&] {
    if (!looking_back_) around_.stop.poll(around_.comm);
  });
  auto& record = result.record;
  record.epoch = moment.now.epoch;
  record.step = moment.now.step;
  record.set({"train_loss", "training loss", "loss", around_.task.loss().definition()}, moment.evaluation.train_loss);
  record.set({"test_loss", "test loss", "loss", around_.task.loss().definition()}, moment.evaluation.test_loss);
  record.set({"train_acc", "training accuracy", "1", "share of training examples answered correctly"},
             moment.evaluation.train_acc);
  record.set({"test_acc", "test accuracy", "1", "share of test examples answered correctly"}, moment.evaluation.test_acc);
  store(moment.now, g, result);
  previous_ = std::move(result.subspace);
  previous_parameters_ = around_.task.model().parameters.flat();
  last_step_ = moment.now.step;
  ++count_;

  Record timing{"timing", moment.now.epoch, moment.now.step, {}};
  const double took = watch.seconds();
  timing.set({"gop_s", "wall time of this measurement", "s", "on rank 0"}, took);
  timing.set({"elapsed_s", "wall time of this launch", "s", "from its start to the end of this measurement, on rank 0"},
             around_.timers.phases().front().total_s);
  around_.writer.append(timing);
  // Who waits for minutes between two lines of the log wonders whether anything happens.
  if (took > kWorthSaying_s) {
    around_.log.info("epoch {:>7} step {:>8}  GOP measured in {}", moment.now.epoch, moment.now.step, format_duration(took));
  }
}

bool GopProbe::streams(const Moment& now) const {
  if (!storing_.due(now)) return false;
  const auto& parameters = around_.task.model().parameters;
  const auto streams_range = [&](IndexRange range) { return around_.writer.streams(spec_of(range, 0)); };
  if (storage_.store_full_gop == StorePolicy::dense && streams_range({0, parameters.total()})) return true;
  return storage_.store_layer_gops == StorePolicy::dense &&
         std::ranges::any_of(parameters.layers(), [&](const Layer& layer) { return streams_range(layer.range); });
}

/// Matrices first: a stop may leave one of them unfinished, and then nothing of the moment may be with the writer.
void GopProbe::store(const Moment& now, const GradientMatrix& g, const GopResult& result) {
  const auto timer = around_.timers.scope("store");
  if (storing_.due(now)) store_matrices(g, now.name());
  around_.writer.append(result.record);
  store_full(now, g, result);
  store_layers(now, g, result);
  if (options_.store_eigenvectors && result.k > 0) store_vectors(now, g, result);
}

void GopProbe::store_full(const Moment& now, const GradientMatrix& g, const GopResult& result) {
  auto& writer = around_.writer;
  const auto group = now.name();
  const auto& primary = options_.definitions.front();
  writer.attach("gop_full", group, spectrum_array("eigenvalues", result.eigenvalues));
  if (result.k > 0) {
    // Stored [N, k] row-major, as numpy shows it.
    const auto vectors = at::from_blob(const_cast<double*>(result.gram_vectors.data()), {result.k, g.rows()}, at::kDouble).t();
    writer.attach("gop_full", group, to_named_array("eigenvectors_gram_top_k", vectors)
                                         .described({"top k eigenvectors of " + gram_of(primary), "1",
                                                     "column j belongs to lambda_j; unit length, one tracked example a row"}));
  }
  auto attributes = facts_of(now, g);
  attributes.insert(attributes.end(),
                    {{"definition", primary}, {"loss_reduction", around_.task.loss().definition()}, {"n_parameters", g.cols()},
                     {"solver", result.solver}, {"path", result.path}, {"noise_floor", result.noise_floor}});
  attributes.insert(attributes.end(), kPlot.begin(), kPlot.end());
  writer.set_group_attributes("gop_full", group, attributes);
}

/// Spectra of layers, where they are due, and beside each spectrum or matrix the layer's scalars.
void GopProbe::store_layers(const Moment& now, const GradientMatrix& g, const GopResult& result) {
  auto& writer = around_.writer;
  const bool has_matrices = storing_.due(now) && storage_.stores();
  std::string shown;  // the layer that a viewer opens with
  for (const auto& layer : around_.task.model().parameters.layers()) {
    const auto spectrum = std::ranges::find(result.layer_spectra, layer.name, &LayerSpectrum::name);
    const bool has_spectrum = spectrum != result.layer_spectra.end();
    if (!has_spectrum && !has_matrices) continue;
    const auto group = now.name() + "/" + layer.name, prefix = "layers/" + layer.name + "/";
    auto scalars = facts_of(now, g);
    scalars.emplace_back("definition", std::string("second_moment"));
    if (has_spectrum) {
      if (shown.empty()) shown = layer.name;
      scalars.insert(scalars.end(), kPlot.begin(), kPlot.end());
      writer.attach("gop_layers", group, spectrum_array("eigenvalues", spectrum->eigenvalues));
      writer.attach("gop_layers", group,
                    spectrum_array("eigenvalues_top_k", top_values(spectrum->eigenvalues, options_.top_k_eigen)));
      scalars.insert(scalars.end(), {{"path", spectrum->path}, {"noise_floor", spectrum->noise_floor}});
    }
    for (const auto& m : result.record.measurements) {
      if (m.is_vector || !m.quantity.path.starts_with(prefix) || m.quantity.path == prefix + "noise_floor") continue;
      scalars.emplace_back(m.quantity.path.substr(prefix.size()), m.values.front());
    }
    writer.set_group_attributes("gop_layers", group, scalars);
  }
  if (!shown.empty()) writer.set_group_attributes("gop_layers", now.name(), {{"NX_class", "NXentry"}, {"default", shown}});
}

void GopProbe::store_vectors(const Moment& now, const GradientMatrix& g, const GopResult& result) {
  const auto mine = result.subspace.vectors.contiguous();
  const auto all = around_.comm.all_gather_uneven<double>({mine.data_ptr<double>(), static_cast<std::size_t>(mine.numel())});
  around_.writer.attach("gop_full", now.name(),
                        NamedArray::from<double>("eigenvectors_top_k", {g.cols(), result.k}, all)
                            .described({"top k eigenvectors of the GOP", "1",
                                        "column j belongs to lambda_j; unit length, one parameter a row in the order of "
                                        "/parameters; NaN where lambda_j is not above the noise floor, or not resolved"}));
}

/// What every group of a moment says of itself.
Attributes GopProbe::facts_of(const Moment& now, const GradientMatrix& g) const {
  return {{"epoch", now.epoch}, {"step", now.step}, {"normalisation", std::string("1/N")}, {"n_examples", g.rows()}};
}

std::string GopProbe::matrix_name() const { return storage_.layout == "lower" ? "gop_lower" : "gop"; }

MatrixSpec GopProbe::spec_of(IndexRange range, std::uint64_t identity) const {
  const auto dtype = storage_.float_precision == "float32" ? DType::float32 : DType::float64;
  const int level = storage_.compression == "gzip" ? static_cast<int>(storage_.compression_level) : 0;
  MatrixSpec spec{range.size(), range.size(), dtype, level, gop_description(), identity};
  if (storage_.layout != "lower") return spec;
  const auto tiles = LowerTiles::of(range.size());
  spec.rows = tiles.count();
  spec.cols = tiles.width * tiles.width;
  spec.tile = tiles.width;
  spec.description.definition += "; tile k of the lower triangle, row of tiles by row of tiles: (0, 0), (1, 0), (1, 1), "
                                 "(2, 0), ...; what a tile has beyond the matrix is 0";
  spec.attributes = {{"width", range.size()}, {"tile", tiles.width}};
  return spec;
}

std::filesystem::path GopProbe::store_matrix(const std::string& view, const std::string& group, const GradientMatrix& g,
                                             IndexRange range, std::uint64_t identity, const std::filesystem::path& whole) {
  const auto spec = spec_of(range, identity);
  FillRows fill = [&](IndexRange rows, std::span<double> out) { fill_dense_rows(g, {range, range}, rows, out); };
  if (!whole.empty()) {
    fill = [&](IndexRange rows, std::span<double> out) {
      read_matrix_block(whole, "gop", {range.begin + rows.begin, range.begin + rows.end}, range, out);
    };
  }
  if (storage_.layout == "lower") {
    fill = [&](IndexRange which, std::span<double> out) { fill_lower_tiles(g, range, which, out); };
  }
  return around_.writer.write_matrix(view, group, matrix_name(), spec,
                                     even_share(spec.rows, around_.comm.size(), around_.comm.rank()), fill);
}

void GopProbe::store_matrices(const GradientMatrix& g, const std::string& group) {
  const auto theta = around_.task.model().parameters.flat().to(at::kCPU, at::kDouble).contiguous();
  const auto ids = tracked_.ids.to(at::kCPU).contiguous();
  const auto state = hash_bytes(ids.data_ptr(), ids.nbytes(), hash_bytes(theta.data_ptr(), theta.nbytes()));
  const auto full = storage_.store_full_gop, by_layer = storage_.store_layer_gops;
  const auto& layers = around_.task.model().parameters.layers();
  std::filesystem::path whole;
  if (full == StorePolicy::dense) whole = store_matrix("gop_full", group, g, {0, g.cols()}, state);
  // Compressed rows cost as much to unpack as to form, and tiles of a layer are not those of the whole.
  if (storage_.layout != "square" || storage_.compression != "none") whole.clear();
  for (const auto& layer : layers) {
    const auto layer_group = group + "/" + layer.name;
    if (full == StorePolicy::dense && layers.size() == 1) {
      around_.writer.link("gop_layers", layer_group, matrix_name(), "gop_full/" + group + "/" + matrix_name());
    } else if (by_layer == StorePolicy::dense) {
      store_matrix("gop_layers", layer_group, g, layer.range, state, whole);
    }
    // The full factors are those of the layers: they are stored once, and seen from both sides.
    const auto factors = group + "/factors/" + layer.name;
    if (full == StorePolicy::factors) {
      write_factors(around_.writer, "gop_full", factors, g, layer);
      around_.writer.link("gop_layers", layer_group + "/factors", layer.name, "gop_full/" + factors);
    } else if (by_layer == StorePolicy::factors) {
      write_factors(around_.writer, "gop_layers", layer_group + "/factors/" + layer.name, g, layer);
    }
  }
}

void GopProbe::evaluated(const Moment& now, const Evaluation& evaluation) {
  auto& parameters = around_.task.model().parameters;
  const auto keep = [&] {
    const auto flat = parameters.flat().to(at::kCPU, at::kDouble);
    return std::vector<double>(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
  };
  const auto earlier = schedule_.observe(now, evaluation, last_step_, keep);
  if (earlier.empty()) return;
  around_.log.info("test accuracy moved at {}: measuring {} earlier moments", now.name(), earlier.size());
  const auto present = parameters.flat();
  looking_back_ = true;  // all of them or none: a restart could not take up between
  for (const auto& kept : earlier) {
    parameters.set_flat(at::from_blob(const_cast<double*>(kept.state.data()), {parameters.total()}, at::kDouble));
    measure({kept.moment, kept.evaluation, nullptr});
  }
  looking_back_ = false;
  parameters.set_flat(present);
}

std::vector<NamedArray> GopProbe::state() const {
  auto arrays = schedule_.state("probes/gop/schedule/");
  const std::array<std::int64_t, 2> counters{count_, last_step_};
  arrays.push_back(NamedArray::from<std::int64_t>("probes/gop/counters", {2}, counters)
                       .described({"progress of the GOP probe", "1", "tracked moments so far, step of the last one"}));
  if (previous_parameters_.defined()) {
    arrays.push_back(to_named_array("probes/gop/previous_parameters", previous_parameters_)
                         .described({"parameters at the last tracked moment", "1", "flat, in the order of /parameters"}));
  }
  return arrays;
}

void GopProbe::load(std::span<const NamedArray> arrays) {
  schedule_.load(arrays, "probes/gop/schedule/");
  const auto counters = find_array(arrays, "probes/gop/counters").values<std::int64_t>();
  count_ = counters[0];
  last_step_ = counters[1];
  const auto* previous = find_array_if_present(arrays, "probes/gop/previous_parameters");
  if (previous == nullptr) return;
  // The eigenvectors there are made again rather than stored: they are P x k, the parameters P.
  auto& parameters = around_.task.model().parameters;
  const auto present = parameters.flat();
  previous_parameters_ = to_tensor(*previous);
  parameters.set_flat(previous_parameters_);
  const auto g = gradients(nullptr);
  previous_ = meter_.measure(g, {}, nullptr, around_.timers, [&] { around_.stop.poll(around_.comm); }).subspace;
  parameters.set_flat(present);
}

}  // namespace grokscope
