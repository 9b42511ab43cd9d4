// Is an analysis taken up where it was, with every probe of the run, and is nothing measured twice or mixed?
// The task here raises the signal itself, at a chosen evaluation, which is once at each checkpoint.
#include "run/analyze.hpp"

#include <gtest/gtest.h>

#include "comm/stop.hpp"
#include "io/folder_test.hpp"
#include "run/jumping_task.hpp"
#include "run/published_run.hpp"

namespace grokscope {
namespace {

constexpr auto* kRun = R"(
experiment: {name: jumping}
training: {epochs: 30, optimizer: sgd, lr: 0.02, dtype: float64, log_interval: 1}
gop_tracking: {frequency: 30, top_k_eigen: 3, examples: 9, layer_spectra: 2}
computational_limits: {checkpoint_epochs: [5, 10, 15, 20, 25]}
)";

using Epochs = std::vector<std::int64_t>;

/// Tells how often it has measured, which its state remembers. No schedule ever asks it.
class CountingProbe : public Probe {
 public:
  CountingProbe(const ProbeSurroundings& around, std::string name, bool post_hoc)
      : around_(around), path_("probes/" + name), name_(std::move(name)), post_hoc_(post_hoc) {}

  std::string name() const override { return name_; }
  bool due(const Moment&) const override { return false; }
  bool uses_training_taps() const override { return false; }
  bool measures_post_hoc() const override { return post_hoc_; }
  void measure(const ProbeMoment& moment) override {
    Record record{path_, moment.now.epoch, moment.now.step, {}};
    record.set({path_ + "/count", "measurements", "1", "so far"}, static_cast<double>(++count_));
    around_.writer.append(record);
  }
  std::vector<NamedArray> state() const override {
    return {NamedArray::scalar<std::int64_t>(path_ + "/so_far", count_).described({"measurements", "1", "so far"})};
  }
  void load(std::span<const NamedArray> arrays) override {
    count_ = find_array(arrays, path_ + "/so_far").values<std::int64_t>()[0];
  }

 private:
  ProbeSurroundings around_;
  std::string path_, name_;
  bool post_hoc_;
  std::int64_t count_ = 0;
};

class CountingOptions : public ProbeOptions {
 public:
  CountingOptions(std::string name, bool post_hoc) : name_(std::move(name)), post_hoc_(post_hoc) {}
  void declare(Schema& s) override { s.add("wanted", wanted_, "whether it is there"); }
  std::unique_ptr<Probe> make(const ProbeSurroundings& around) const override {
    return wanted_ ? std::make_unique<CountingProbe>(around, name_, post_hoc_) : nullptr;
  }

 private:
  std::string name_;
  bool post_hoc_;
  bool wanted_ = true;
};

class AnalyzeTest : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    const auto file = write_configuration(comm, folder.path() / "run.yaml", kRun);
    run_configuration(comm, file, run_, {}, experiments());
  }

  Experiments experiments() const { return {all_, probes_}; }

  ExitCode analyze(const std::string& name, int signal_at = 0, const Epochs& epochs = {},
                   const std::vector<std::string>& overrides = {}, bool fresh = false) {
    signal_at_ = signal_at;
    SessionOptions options;
    options.verbosity = Verbosity::quiet;
    options.fresh = fresh;
    const SignalWatch signals;
    return code_of([&] {
      const auto configuration = load_run(run_, overrides, experiments());
      run_analysis(comm, *configuration, epochs, name, options);
    });
  }

  std::filesystem::path result(const std::string& name) const { return run_ / "analysis" / name; }

  /// A dataset of an analysis; empty where it has none. On the root.
  std::vector<double> numbers(const std::string& name, const std::string& dataset) const {
    const auto file = hdf5::open_file(result(name) / "metrics.h5");
    if (!hdf5::exists(file, dataset)) return {};
    const auto array = hdf5::read_array(file, dataset);
    if (array.dtype == DType::int64) return {array.values<std::int64_t>().begin(), array.values<std::int64_t>().end()};
    return {array.values<double>().begin(), array.values<double>().end()};
  }

  int signal_at_ = 0;
  std::filesystem::path run_ = folder.path() / "run";
  const std::vector<Experiment> all_{
      Experiment{{"jumping", "", "", ""}, [this] { return std::make_unique<JumpingTask>(signal_at_); }}};
  const std::vector<ProbeKind> probes_{{"counted", [] { return std::make_unique<CountingOptions>("counted", true); }},
                                       {"needy", [] { return std::make_unique<CountingOptions>("needy", false); }}};
};

TEST_F(AnalyzeTest, AStoppedOneGoesOn) {
  ASSERT_EQ(analyze("whole"), ExitCode::done);
  for (const int stop_at : {1, 3, 6}) {
    const auto name = "stopped_" + std::to_string(stop_at);
    EXPECT_EQ(analyze(name, stop_at), ExitCode::requeue);
    comm.on_root([&] {
      const auto status = read_status(result(name));
      ASSERT_TRUE(status);
      EXPECT_EQ(status->state, RunState::checkpointed);
      EXPECT_NE(status->reason.find(std::to_string(stop_at - 1) + " of 6"), std::string::npos) << status->reason;
    });
    EXPECT_EQ(analyze(name), ExitCode::done);
    comm.on_root([&] { EXPECT_EQ(differences(published(result("whole")), published(result(name))), std::vector<std::string>()); });
  }
}

TEST_F(AnalyzeTest, EveryProbeMeasuresButThoseThatNeedATrainingPass) {
  ASSERT_EQ(analyze("probed"), ExitCode::done);
  comm.on_root([&] {
    EXPECT_EQ(numbers("probed", "epoch"), (std::vector<double>{5, 10, 15, 20, 25, 30}));
    EXPECT_EQ(numbers("probed", "probes/counted/epoch"), numbers("probed", "epoch"));
    EXPECT_EQ(numbers("probed", "probes/counted/count"), (std::vector<double>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(numbers("probed", "probes/needy/count"), std::vector<double>());
    EXPECT_EQ(numbers("probed", "tracked_ids").size(), 9u);
  });
}

TEST_F(AnalyzeTest, WhatIsMeasuredStays) {
  ASSERT_EQ(analyze("once"), ExitCode::done);
  PublishedArrays before;
  comm.on_root([&] { before = published(result("once")); });
  EXPECT_EQ(analyze("once", 1), ExitCode::done) << "a checkpoint was evaluated again";
  EXPECT_EQ(analyze("once", 0, {}, {"gop_tracking.top_k_eigen=2"}), ExitCode::user);
  EXPECT_EQ(analyze("once", 0, {}, {"storage.store_full_gop=true"}), ExitCode::user);
  EXPECT_EQ(analyze("once", 0, {}, {"computational_limits.keep_free_memory_gb=0"}), ExitCode::done);
  comm.on_root([&] { EXPECT_EQ(differences(before, published(result("once"))), std::vector<std::string>()); });
  EXPECT_EQ(analyze("once", 0, {10}, {"gop_tracking.top_k_eigen=2"}, true), ExitCode::done);
  comm.on_root([&] { EXPECT_EQ(numbers("once", "epoch"), (std::vector<double>{10})); });
}

TEST_F(AnalyzeTest, AnEarlierEpochMayFollow) {
  ASSERT_EQ(analyze("apart", 0, {20}), ExitCode::done);
  EXPECT_EQ(analyze("apart", 0, {10, 20}), ExitCode::done);
  EXPECT_EQ(analyze("apart", 0, {10, 20, 30}), ExitCode::done);
  EXPECT_EQ(analyze("apart", 1, {10, 20, 30}), ExitCode::done) << "a checkpoint was evaluated again";
  comm.on_root([&] { EXPECT_EQ(numbers("apart", "epoch"), (std::vector<double>{20, 10, 30})); });
}

TEST_F(AnalyzeTest, CheckpointsOfAnotherTrainingAreNotMixedIn) {
  ASSERT_EQ(analyze("mixed", 0, {10}), ExitCode::done);
  comm.on_root([&] {
    const auto path = run_ / "checkpoints" / "epoch_10.h5";
    RunFacts facts;
    const auto record = read_commit_record(path, facts);
    auto checkpoint = read_checkpoint(path);
    for (auto& array : checkpoint.arrays) {
      if (array.name.starts_with("parameters/")) array.bytes.front() ^= std::byte{1};
    }
    write_checkpoint(path, checkpoint, record, facts);
  });
  EXPECT_EQ(analyze("mixed", 0, {10, 20}), ExitCode::user);
  comm.on_root([&] { EXPECT_EQ(numbers("mixed", "epoch"), (std::vector<double>{10})); });
}

TEST_F(AnalyzeTest, TheNameTellsWhatDistinguishes) {
  const auto configuration = load_run(run_, {}, experiments());
  const auto name = [&](const std::vector<std::string>& overrides, const Epochs& epochs) {
    return analysis_name(overrides, epochs, configuration->schemas);
  };
  EXPECT_EQ(name({}, {}), "gop");
  EXPECT_EQ(name({"gop_tracking.top_k_eigen=2"}, {10, 5, 10}), "gop+top_k_eigen=2+epochs=5,10");
  EXPECT_EQ(name({"storage.store_full_gop=true"}, {}), "gop+store_full_gop=true");
  EXPECT_EQ(name({"computational_limits.keep_free_memory_gb=0"}, {}), "gop");
  Epochs many;
  for (std::int64_t epoch = 0; epoch < 1000; ++epoch) many.push_back(epoch);
  EXPECT_LT(name({}, many).size(), 40u);
}

}  // namespace
}  // namespace grokscope
