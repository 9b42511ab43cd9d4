#include "run/export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "comm/stop.hpp"
#include "gop/dense_rows.hpp"
#include "io/durable_file.hpp"
#include "io/hdf5.hpp"
#include "io/matrix_block.hpp"
#include "io/matrix_file.hpp"
#include "probes/factors.hpp"
#include "probes/tracked_examples.hpp"
#include "run/device.hpp"
#include "run/resources.hpp"
#include "train/trainer.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kPanelBytes = 256'000'000;
constexpr double kProgressInterval_s = 10;

std::optional<std::int64_t> parse_end(const std::string& text, const std::string& whole) {
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) {
    throw UserError(fmt::format("'{}' is no range (its ends are no whole numbers), write 0:256, 256: or -256:", whole));
  }
  return value;
}

/// The flat parameters of the matrix that is asked for.
IndexRange matrix_range(const ParameterSet& parameters, const std::string& layer) {
  if (layer.empty()) return {0, parameters.total()};
  std::string known;
  for (const auto& l : parameters.layers()) {
    if (l.name == layer) return l.range;
    known += (known.empty() ? "" : ", ") + l.name;
  }
  throw UserError(fmt::format("the model has no layer '{}' (it has {}), name one of these", layer, known));
}

IndexRange part_of(IndexRange whole, const OpenRange& wanted, const char* what) {
  const auto n = whole.size();
  const auto place = [n](std::int64_t end) { return std::clamp<std::int64_t>(end < 0 ? end + n : end, 0, n); };
  const IndexRange part{place(wanted.begin.value_or(0)), place(wanted.end.value_or(n))};
  if (part.begin >= part.end) {
    throw UserError(fmt::format("{} {}:{} hold nothing (there are {} in the matrix), choose others", what, part.begin, part.end,
                                n));
  }
  return {whole.begin + part.begin, whole.begin + part.end};
}

std::string name_part(const char* what, const OpenRange& wanted, IndexRange part, IndexRange whole) {
  if (!wanted.begin && !wanted.end) return "";
  return fmt::format(".{}_{}-{}", what, part.begin - whole.begin, wanted.end ? std::to_string(part.end - whole.begin) : "end");
}

fs::path output_of(const RunConfiguration& c, const ExportRequest& r, IndexRange whole, const GopBlock& block) {
  if (!r.output.empty()) return r.output;
  auto name = r.moment;
  if (!r.layer.empty()) name += "." + r.layer;
  return c.run_directory / "export" / (name + name_part("rows", r.rows, block.rows, whole) +
                                       name_part("cols", r.cols, block.cols, whole) + ".h5");
}

/// A matrix that the run has stored: its rows and columns are the flat parameters from `first` on.
struct StoredMatrix {
  fs::path path;
  std::string name;
  std::int64_t first = 0;
  std::int64_t examples = 0;
};

/// Where the wanted parameters' matrix lies. That of a layer first: a block of the full one may differ from it by a rounding.
std::optional<StoredMatrix> find_matrix(const RunConfiguration& c, const ExportRequest& r, IndexRange whole) {
  const auto full = c.run_directory / "gop_full.h5";
  std::vector<StoredMatrix> places;
  for (const std::string name : {"gop", "gop_lower"}) {  // storage.layout: square, lower
    if (!r.layer.empty()) {
      places.push_back({c.run_directory / "gop_layers.h5", fmt::format("{}/{}/{}", r.moment, r.layer, name), whole.begin});
    }
    places.push_back({full, r.moment + "/" + name, 0});
  }
  for (auto& place : places) {
    if (!fs::exists(place.path) || !hdf5::exists(hdf5::open_file(place.path), place.name)) continue;
    const auto moment = hdf5::open_group(hdf5::open_file(full), r.moment);
    place.examples = attribute_value<std::int64_t>(hdf5::read_attributes(moment), "n_examples");
    return place;
  }
  return std::nullopt;
}

/// Where factors that hold the wanted parameters may lie, the full ones first.
std::optional<std::pair<fs::path, std::string>> find_factors(const RunConfiguration& c, const ExportRequest& r) {
  std::vector<std::pair<fs::path, std::string>> places{{c.run_directory / "gop_full.h5", r.moment + "/factors"}};
  if (!r.layer.empty()) places.push_back({c.run_directory / "gop_layers.h5", fmt::format("{}/{}/factors", r.moment, r.layer)});
  for (const auto& place : places) {
    if (fs::exists(place.first) && hdf5::exists(hdf5::open_file(place.first), place.second)) return place;
  }
  return std::nullopt;
}

IndexRange shifted(IndexRange range, std::int64_t by) { return {range.begin + by, range.end + by}; }

/// The gradients at the checkpoint of the moment, of the examples that the run tracked.
GradientMatrix gradients_at_checkpoint(const Communicator& comm, RunConfiguration& c, const std::string& moment) {
  comm.agree([&] {
    const auto path = c.run_directory / "checkpoints" / (moment + ".h5");
    if (!fs::exists(path)) {
      throw UserError(fmt::format("{} has no matrix, no factors and no checkpoint of {} (a GOP is read or rebuilt from one of them), see "
                                  "'ls {}'; --step is for moments within an epoch alone", c.run_directory.string(), moment,
                                  (c.run_directory / "checkpoints").string()));
    }
    c.task->restore_data(read_data(c.run_directory / "data.h5"));
    c.task->convert(choose_device(c.training.device, comm.rank()), parameter_type(c.training));
  });
  TimerTree timers;
  Trainer trainer(comm, *c.task, c.training, timers);
  Checkpoint checkpoint;
  comm.agree([&] { checkpoint = read_checkpoint(c.run_directory / "checkpoints" / (moment + ".h5")); });
  trainer.load(checkpoint.arrays);
  return gradients_of(comm, *c.task, tracked_examples(c.task->data(), c.gop, static_cast<std::uint64_t>(c.training.seed)));
}

void require_space(const fs::path& folder, double bytes, double keep_free) {
  const double left = available_disk_bytes(folder) - keep_free;
  if (left >= bytes) return;
  throw EnvironmentError(fmt::format("the disk of {} has {} left and about {} are needed "
                                     "(computational_limits.keep_free_disk_gb is {:g}), make space and run the same command again",
                                     folder.string(), format_bytes(std::max(0.0, left)), format_bytes(bytes), keep_free / 1e9));
}

/// The limits that a run has for what it stores at one moment.
void check_size(const LimitOptions& limits, double bytes, Log& log) {
  if (bytes > limits.max_gop_size_gb * 1e9) {
    throw UserError(fmt::format("the matrix would take {} (above computational_limits.max_gop_size_gb: {}), take fewer --rows and "
                                "--cols or a --layer, or raise the limit", format_bytes(bytes), limits.max_gop_size_gb));
  }
  if (bytes > limits.warn_if_exceeds_gb * 1e9) {
    log.warn("the matrix takes {} (computational_limits.warn_if_exceeds_gb is {})", format_bytes(bytes),
             limits.warn_if_exceeds_gb);
  }
}

/// Of an unfinished file: itself, unless it is to be kept, and the journals of however many ranks.
void remove_unfinished(const fs::path& temporary, bool keep_file = false) {
  const auto prefix = temporary.filename().string() + ".journal.";
  std::vector<fs::path> journals;
  std::error_code no_folder;
  for (const auto& entry : fs::directory_iterator(temporary.parent_path(), no_folder)) {
    if (entry.path().filename().string().starts_with(prefix)) journals.push_back(entry.path());
  }
  for (const auto& journal : journals) remove_path(journal);
  if (!keep_file) remove_path(temporary);
}

/// Everything of one export between the command and its file.
class Export {
 public:
  Export(const Communicator& comm, RunConfiguration& c, const ExportRequest& request, const SessionOptions& options)
      : comm_(comm), c_(c), request_(request),
        log_(comm.is_root() ? Log::speaking(options.verbosity) : Log::silent()), stop_(options.max_time_s) {}

  fs::path run();

 private:
  void find_source();
  MatrixSpec spec() const;
  std::uint64_t identity() const;
  void fill(IndexRange rows, std::span<double> out) const;
  void write();
  void publish() const;
  PanelProgress show_panels();

  const Communicator& comm_;
  RunConfiguration& c_;
  const ExportRequest& request_;
  Log log_;
  StopFlag stop_;
  GopBlock block_;
  fs::path output_, temporary_;
  std::string source_;  ///< "matrix", "factors" or "checkpoint"
  std::optional<StoredMatrix> matrix_;
  std::optional<GradientMatrix> gradients_;  ///< where there is no matrix
  std::string progress_ = "nothing is written";
};

fs::path Export::run() {
  set_threads(static_cast<int>(c_.limits.threads_per_rank));
  find_source();
  try {
    write();
    comm_.on_root([&] { publish(); });
  } catch (const StopRequested& stop) {
    const auto reason = fmt::format("{}: {}, run the same command again to go on", stop.what(), progress_);
    log_.info("{}", reason);
    throw StopRequested(reason);
  } catch (...) {
    // Whichever rank is here: peers may have been ended. What brought us here matters more than what cannot be removed.
    try {
      remove_unfinished(temporary_);
    } catch (const std::exception& error) {
      log_.warn("{}", error.what());
    }
    throw;
  }
  log_.info("wrote {}", output_.string());
  return output_;
}

void Export::find_source() {
  std::optional<std::pair<fs::path, std::string>> factors;
  comm_.agree([&] {
    c_.task->build_model(c_.training);
    const auto whole = matrix_range(c_.task->model().parameters, request_.layer);
    block_ = {part_of(whole, request_.rows, "rows"), part_of(whole, request_.cols, "columns")};
    output_ = fs::absolute(output_of(c_, request_, whole, block_));
    temporary_ = temporary_of(output_);
    check_size(c_.limits, static_cast<double>(spec().bytes()), log_);
    matrix_ = find_matrix(c_, request_, whole);
    if (!matrix_) factors = find_factors(c_, request_);
  });
  source_ = matrix_ ? "matrix" : factors ? "factors" : "checkpoint";
  const auto of_root = comm_.broadcast_text(source_);
  comm_.agree([&] {
    if (source_ == of_root) return;
    throw EnvironmentError(fmt::format("{} changed while the ranks looked into it (one found its {}, the root its {}), run the same "
                                       "command again", c_.run_directory.string(), source_, of_root));
  });
  log_.info("taking {} x {} of {} from its {}", block_.rows.size(), block_.cols.size(), request_.moment, source_);
  if (factors) gradients_ = read_factors(comm_, factors->first, factors->second);
  if (source_ == "checkpoint") gradients_ = gradients_at_checkpoint(comm_, c_, request_.moment);
}

MatrixSpec Export::spec() const {
  const auto dtype = c_.storage.float_precision == "float32" ? DType::float32 : DType::float64;
  return {block_.rows.size(), block_.cols.size(), dtype, 0,
          {"gradient outer product", "loss^2/parameter^2",
           "block of C = (1/N) sum_i g_i g_i^T; first_row and first_col count in the order of /parameters"}};
}

/// Of what the elements follow from: settings, the block, and the eigenvalues that stand beside a matrix or its factors, or
/// the checkpoint. 0, which means that nothing is taken up, where there are no eigenvalues.
std::uint64_t Export::identity() const {
  const auto place = fmt::format("{} {} {} {} {} {} {}", c_.fingerprint, request_.moment, source_, block_.rows.begin,
                                 block_.rows.end, block_.cols.begin, block_.cols.end);
  if (source_ == "checkpoint") {
    const auto file = hdf5::open_file(c_.run_directory / "checkpoints" / (request_.moment + ".h5"));
    return hash_text(place + attribute_value<std::string>(hdf5::read_attributes(file), "content_hash"));
  }
  const auto file = hdf5::open_file(c_.run_directory / "gop_full.h5");
  const auto eigenvalues = request_.moment + "/eigenvalues";
  if (!hdf5::exists(file, eigenvalues)) return 0;
  const auto values = hdf5::read_array(file, eigenvalues);
  return hash_bytes(values.bytes.data(), values.bytes.size(), hash_text(place));
}

void Export::fill(IndexRange rows, std::span<double> out) const {
  if (gradients_) return fill_dense_rows(*gradients_, block_, rows, out);
  read_matrix_block(matrix_->path, matrix_->name, shifted(rows, block_.rows.begin - matrix_->first),
                    shifted(block_.cols, -matrix_->first), out);
}

void Export::write() {
  auto matrix = spec();
  comm_.agree([&] { matrix.identity = identity(); });
  comm_.on_root([&] {
    make_folder(output_.parent_path());
    if (!fs::exists(temporary_)) {  // else it has claimed its space already
      require_space(output_.parent_path(), static_cast<double>(matrix.bytes()), c_.limits.keep_free_disk_gb * 1e9);
    }
  });
  write_matrix_file(comm_, temporary_, "gop", matrix, even_share(matrix.rows, comm_.size(), comm_.rank()), kPanelBytes,
                    [&](IndexRange rows, std::span<double> out) { fill(rows, out); },
                    comm_.is_root() ? show_panels() : PanelProgress(), [&] { stop_.poll(comm_); });
}

/// Tells the log now and then, and a person at a terminal.
PanelProgress Export::show_panels() {
  return [this, watch = Stopwatch(), shown = 0.0, is_first = true](std::int64_t done, std::int64_t all) mutable {
    progress_ = fmt::format("{} of {} panels are written", done, all);
    if (std::exchange(is_first, false) && done > 0) log_.info("taking up {}: {}", temporary_.string(), progress_);
    log_.progress(progress_);
    if (watch.seconds() - shown < kProgressInterval_s) return;
    shown = watch.seconds();
    log_.info("{}", progress_);
  };
}

void Export::publish() const {
  auto file = hdf5::open_file_for_update(temporary_);
  hdf5::write_attributes(hdf5::open_group(file, "/"),
                         {{"experiment", c_.experiment.name}, {"moment", request_.moment}, {"layer", request_.layer},
                          {"first_row", block_.rows.begin}, {"first_col", block_.cols.begin}, {"definition", std::string("second_moment")},
                          {"normalisation", std::string("1/N")},
                          {"n_examples", gradients_ ? gradients_->rows() : matrix_->examples}, {"source", source_}});
  file.close();
  remove_unfinished(temporary_, true);
  publish_file(temporary_, output_);
}

/// Copies one file with what its links lead to. On the root.
void merge_view(const fs::path& view, const fs::path& output, Log& log, const StopFlag& stop) {
  const auto temporary = temporary_of(output);
  log.info("copying {}", view.string());
  try {
    const auto from = hdf5::open_file(view);
    auto to = hdf5::create_file(temporary);
    const auto names = hdf5::list_children(hdf5::open_group(from, "/"));
    Stopwatch since_shown;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (stop.wanted()) throw StopRequested(stop.reason());
      if (since_shown.seconds() > kProgressInterval_s) {
        since_shown = Stopwatch();
        log.info("{}: {} of {} groups are copied", output.filename().string(), i, names.size());
      }
      hdf5::copy_whole(from, names[i], to);
    }
    hdf5::write_attributes(hdf5::open_group(to, "/"), hdf5::read_attributes(hdf5::open_group(from, "/")));
    to.close();
    publish_file(temporary, output);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

}  // namespace

OpenRange parse_range(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) {
    throw UserError(fmt::format("'{}' is no range (it needs a colon), write 0:256, 256: or :256", text));
  }
  return {parse_end(text.substr(0, colon), text), parse_end(text.substr(colon + 1), text)};
}

fs::path run_export(const Communicator& comm, RunConfiguration& c, const ExportRequest& request, const SessionOptions& options) {
  return Export(comm, c, request, options).run();
}

fs::path merge_views(const Communicator& comm, const fs::path& run_directory, const SessionOptions& options) {
  auto log = comm.is_root() ? Log::speaking(options.verbosity) : Log::silent();
  const StopFlag stop(options.max_time_s);
  const auto folder = run_directory / "export", metrics = run_directory / "metrics.h5";
  try {
    comm.on_root([&] {
      if (!fs::exists(metrics)) {
        throw UserError(fmt::format("{} is not a run directory (it has no metrics.h5), name one that 'grokscope run' wrote",
                                    run_directory.string()));
      }
      make_folder(folder);
      require_space(folder, used_disk_bytes(run_directory / ".segments") + static_cast<double>(fs::file_size(metrics)), 0);
      for (const std::string view : {"metrics.h5", "gop_full.h5", "gop_layers.h5"}) {
        if (fs::exists(run_directory / view)) merge_view(run_directory / view, folder / view, log, stop);
      }
    });
  } catch (const StopRequested& reason) {
    log.info("{}: the file that was being copied is removed, run the same command again", reason.what());
    throw;
  }
  return folder;
}

}  // namespace grokscope
