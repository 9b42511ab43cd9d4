// A run without a model: what it measures is a formula of the epoch, so that any reader can check any moment
// of it. Shared by run_writer_test.cpp and the executable that crash_campaign.py kills; check_run.py knows
// the same formulas.
#pragma once

#include <cmath>
#include <filesystem>

#include "io/run_writer.hpp"

namespace grokscope {

inline constexpr std::int64_t kMatrixRows = 37;
inline constexpr std::int64_t kMatrixCols = 29;

struct Script {
  std::int64_t epochs = 40;
  std::int64_t commit_every = 10;
  std::int64_t gop_every = 5;
  std::int64_t stop_after = -1;  ///< leave without a commit after this epoch, as a crash would
};

/// A matrix over 2 kB counts as large, so that both ways of writing are taken.
inline WriterOptions scripted_options() {
  WriterOptions options;
  options.own_file_bytes = 2000;
  options.panel_bytes = 4 * kMatrixCols * 8;
  options.root_attributes = {{"experiment", "scripted"}};
  return options;
}

inline RunIdentity scripted_identity() {
  return {"0123456789abcdef", "experiment: scripted\n", R"({"experiment": "scripted"})",
          "experiment: scripted\n"};
}

inline RunDirectory open_scripted(const Communicator& comm, const std::filesystem::path& path,
                                  OpenMode mode = OpenMode::resume) {
  return RunDirectory::open(comm, path, scripted_identity(), mode,
                            [](const std::string& stored) { return "stored: " + stored; });
}

inline double matrix_element(std::int64_t epoch, std::int64_t i, std::int64_t j) {
  return static_cast<double>(epoch) + 0.5 * static_cast<double>(i) - 0.125 * static_cast<double>(j);
}

inline FillRows fill_matrix(std::int64_t epoch, std::int64_t cols) {
  return [epoch, cols](IndexRange rows, std::span<double> out) {
    for (std::int64_t i = rows.begin; i < rows.end; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        out[static_cast<std::size_t>((i - rows.begin) * cols + j)] = matrix_element(epoch, i, j);
      }
    }
  };
}

inline void write_scripted_gop(const Communicator& comm, RunWriter& writer, std::int64_t epoch) {
  const auto group = "epoch_" + std::to_string(epoch);
  const std::vector<double> eigenvalues{3.0 + static_cast<double>(epoch), 2.0, kMissing};
  const auto rows = even_share(kMatrixRows, comm.size(), comm.rank());
  const Description matrix{"matrix", "1", "e + i/2 - j/8"};
  writer.write_matrix("gop_full", group, "gop", {kMatrixRows, kMatrixCols, DType::float32, 0, matrix}, rows,
                      fill_matrix(epoch, kMatrixCols));
  writer.attach("gop_full", group, NamedArray::from<double>("eigenvalues", {3}, eigenvalues)
                                       .described({"eigenvalues", "1", "e + 3, 2, NaN"}));
  writer.set_group_attributes("gop_full", group, {{"epoch", epoch}, {"definition", "second_moment"}});
  const auto layer_rows = even_share(7, comm.size(), comm.rank());
  writer.write_matrix("gop_layers", group + "/embed", "gop", {7, 5, DType::float64, 4, matrix}, layer_rows,
                      fill_matrix(epoch, 5));
  writer.write_matrix("gop_layers", group + "/unembed", "gop", {kMatrixRows, kMatrixCols, DType::float64, 4, matrix},
                      rows, fill_matrix(epoch, kMatrixCols));
  writer.link("gop_layers", group + "/whole", "gop", "gop_full/" + group + "/gop");
  writer.set_group_attributes("gop_layers", group + "/embed", {{"gop_trace", 0.5}});
}

inline void append_scripted_rows(RunWriter& writer, std::int64_t epoch, double x) {
  Record tracked{"", epoch, 3 * epoch, {}};
  tracked.set({"train_loss", "training loss", "1", "mean of loss_i"}, x);
  if (epoch % 2 == 0) tracked.set({"gop_nuclear_norm", "nuclear norm", "1", "sum |lambda_i|"}, 2 * x);
  std::vector<double> top(epoch < 15 ? 3 : 4, x);
  tracked.set({"eigenvalues_top_k", "largest eigenvalues", "1", "of G"}, top);
  writer.append(tracked);
  Record layers{"", epoch, 3 * epoch, {}};  // joins the row above
  layers.set({"layers/embed/gop_trace", "trace", "1", "sum of the diagonal"}, 0.25 * x);
  writer.append(layers);
  for (int half = 0; half < 2; ++half) {
    Record training{"training", epoch, 3 * epoch + half, {}};
    training.set({"training/train_loss", "training loss", "1", "mean of loss_i"}, x + half);
    training.set({"test_acc", "test accuracy", "1", "share of correct examples"}, half == 0 ? kMissing : 0.5);
    writer.append(training);
  }
}

inline Checkpoint scripted_checkpoint(std::int64_t epoch, double x) {
  const std::vector<double> weight{x, x, kMissing, 0, -1, 2};
  return {epoch,
          3 * epoch,
          {{"evaluations", 2 * epoch}, {"best", x}},
          {NamedArray::from<double>("parameters/embed.weight", {2, 3}, weight)
               .described({"weight", "1", "x x NaN 0 -1 2"}),
           NamedArray::scalar<std::uint64_t>("rng/state", static_cast<std::uint64_t>(epoch) * 7)
               .described({"state", "1", "7 times the epoch"})}};
}

/// Runs, or resumes, the script. Collective over comm.
inline void run_script(const Communicator& comm, RunDirectory& directory, Log& log, const Script& script,
                       WriterOptions options = scripted_options()) {
  RunWriter writer(comm, directory, log, std::move(options));
  writer.set_parameters({{"embed.weight", "embed", {2, 3}, 0, 6}});
  const auto resumed = writer.resume();
  std::int64_t epoch = 0;
  double x = 1;
  if (resumed) {
    epoch = resumed->epoch;
    x = find_array(resumed->arrays, "parameters/embed.weight").values<double>()[0];
  }
  writer.set_provenance({{"argv", "scripted"}, {"first_epoch", epoch}});
  for (; epoch < script.epochs; ++epoch) {
    append_scripted_rows(writer, epoch, x);
    if (epoch % script.gop_every == 0) write_scripted_gop(comm, writer, epoch);
    x = 0.75 * x + 0.125 * std::cos(static_cast<double>(epoch));
    if (epoch == script.stop_after) break;
    if (epoch == 12) {
      writer.set_summary("events", {{"t_mem", std::int64_t{12}, {"memorisation", "epoch", "twelve"}},
                                    {"squares", std::vector<double>{1, 4, 9}, {"squares", "1", "k^2"}},
                                    {"rule", "train_acc > .99", {}}});
    }
    if ((epoch + 1) % script.commit_every == 0) writer.commit(scripted_checkpoint(epoch + 1, x));
  }
  writer.close();
}

}  // namespace grokscope
