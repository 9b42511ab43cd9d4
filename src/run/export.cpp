#include "run/export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "gop/dense_rows.hpp"
#include "io/durable_file.hpp"
#include "io/hdf5.hpp"
#include "io/matrix_block.hpp"
#include "io/matrix_file.hpp"
#include "probes/factors.hpp"
#include "probes/tracked_examples.hpp"
#include "run/device.hpp"
#include "train/trainer.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kPanelBytes = 256'000'000;

std::optional<std::int64_t> parse_end(const std::string& text, const std::string& whole) {
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size() || value < 0) {
    throw UserError(fmt::format("'{}' is no range (both ends must be numbers from 0 on), write 0:256, 256: or :256", whole));
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
  const IndexRange part{wanted.begin.value_or(0), wanted.end.value_or(whole.size())};
  if (part.begin >= part.end || part.end > whole.size()) {
    throw UserError(fmt::format("{} {}:{} are not within the matrix (it has {}), choose others", what, part.begin, part.end,
                                whole.size()));
  }
  return {whole.begin + part.begin, whole.begin + part.end};
}

std::string name_part(const char* what, const OpenRange& range) {
  if (!range.begin && !range.end) return "";
  return fmt::format(".{}_{}-{}", what, range.begin.value_or(0), range.end ? std::to_string(*range.end) : "end");
}

fs::path output_of(const RunConfiguration& c, const ExportRequest& r) {
  if (!r.output.empty()) return r.output;
  auto name = r.moment;
  if (!r.layer.empty()) name += "." + r.layer;
  return c.run_directory / "export" / (name + name_part("rows", r.rows) + name_part("cols", r.cols) + ".h5");
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
  if (!r.layer.empty()) places.push_back({c.run_directory / "gop_layers.h5", r.moment + "/" + r.layer + "/gop", whole.begin});
  places.push_back({full, r.moment + "/gop", 0});
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
                                  "'ls {}'", c.run_directory.string(), moment, (c.run_directory / "checkpoints").string()));
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

}  // namespace

OpenRange parse_range(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) {
    throw UserError(fmt::format("'{}' is no range (it needs a colon), write 0:256, 256: or :256", text));
  }
  return {parse_end(text.substr(0, colon), text), parse_end(text.substr(colon + 1), text)};
}

fs::path run_export(const Communicator& comm, RunConfiguration& c, const ExportRequest& request, const SessionOptions& options) {
  set_threads(static_cast<int>(c.limits.threads_per_rank));
  auto log = comm.is_root() ? Log::speaking(options.verbosity) : Log::silent();
  GopBlock block;
  std::optional<StoredMatrix> matrix;
  std::optional<std::pair<fs::path, std::string>> factors;
  const auto output = output_of(c, request);
  comm.agree([&] {
    c.task->build_model(c.training);
    const auto whole = matrix_range(c.task->model().parameters, request.layer);
    block = {part_of(whole, request.rows, "rows"), part_of(whole, request.cols, "columns")};
    matrix = find_matrix(c, request, whole);
    if (!matrix) factors = find_factors(c, request);
  });
  comm.on_root([&] { fs::create_directories(output.parent_path().empty() ? "." : output.parent_path()); });
  const auto source = matrix ? "matrix" : factors ? "factors" : "checkpoint";
  log.info("taking {} x {} of {} from its {}", block.rows.size(), block.cols.size(), request.moment, source);
  std::optional<GradientMatrix> g;
  if (!matrix) g = factors ? read_factors(comm, factors->first, factors->second) : gradients_at_checkpoint(comm, c, request.moment);
  const FillRows fill = [&](IndexRange rows, std::span<double> out) {
    if (g) return fill_dense_rows(*g, block, rows, out);
    read_matrix_block(matrix->path, matrix->name, shifted(rows, block.rows.begin - matrix->first),
                      shifted(block.cols, -matrix->first), out);
  };

  const MatrixSpec spec{block.rows.size(), block.cols.size(),
                        c.storage.float_precision == "float32" ? DType::float32 : DType::float64, 0,
                        {"gradient outer product", "loss^2/parameter^2",
                         "block of C = (1/N) sum_i g_i g_i^T; first_row and first_col count in the order of /parameters"}};
  const auto temporary = output.string() + ".tmp";
  write_matrix_file(comm, temporary, "gop", spec, even_share(spec.rows, comm.size(), comm.rank()), kPanelBytes, fill);
  comm.on_root([&] {
    auto file = hdf5::open_file_for_update(temporary);
    hdf5::write_attributes(hdf5::open_group(file, "/"),
                           {{"experiment", c.experiment.name}, {"moment", request.moment}, {"layer", request.layer},
                            {"first_row", block.rows.begin}, {"first_col", block.cols.begin}, {"definition", std::string("second_moment")},
                            {"normalisation", std::string("1/N")}, {"n_examples", g ? g->rows() : matrix->examples}, {"source", std::string(source)}});
    file.close();
    publish_file(temporary, output);
  });
  log.info("wrote {}", output.string());
  return output;
}

fs::path merge_views(const Communicator& comm, const fs::path& run_directory) {
  const auto folder = run_directory / "export";
  comm.on_root([&] {
    fs::create_directories(folder);
    for (const std::string view : {"metrics.h5", "gop_full.h5", "gop_layers.h5"}) {
      if (!fs::exists(run_directory / view)) continue;
      const auto from = hdf5::open_file(run_directory / view);
      const auto temporary = folder / (view + ".tmp");
      auto to = hdf5::create_file(temporary);
      for (const auto& name : hdf5::list_children(hdf5::open_group(from, "/"))) hdf5::copy_whole(from, name, to);
      hdf5::write_attributes(hdf5::open_group(to, "/"), hdf5::read_attributes(hdf5::open_group(from, "/")));
      to.close();
      publish_file(temporary, folder / view);
    }
  });
  return folder;
}

}  // namespace grokscope
