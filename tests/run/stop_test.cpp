// Is nothing lost, and nothing kept twice, when the wish to stop arrives while a probe measures?
// The task here raises the signal itself, at a chosen evaluation: after the backward pass, before the GOP is
// measured. Whatever happens then, the resumed run must end as one that was never interrupted.
#include <gtest/gtest.h>

#include <algorithm>

#include "comm/stop.hpp"
#include "io/folder_test.hpp"
#include "run/jumping_task.hpp"
#include "run/published_run.hpp"

namespace grokscope {
namespace {

constexpr auto* kEvery = R"(
experiment: {name: jumping}
training: {epochs: 30, optimizer: sgd, lr: 0.02, dtype: float64, log_interval: 1}
gop_tracking: {frequency: 5, top_k_eigen: 3}
)";

constexpr auto* kAdaptive = R"(
experiment: {name: jumping}
training: {epochs: 30, optimizer: sgd, lr: 0.02, dtype: float64, log_interval: 1}
gop_tracking:
  top_k_eigen: 3
  schedule: {kind: adaptive, base: 10, dense: 2, threshold: 0.1, lookback: 3}
)";

class StopTest : public FolderTest {
 protected:
  ExitCode run(const std::string& text, const std::string& name, int signal_at) {
    signal_at_ = signal_at;
    const std::vector<Experiment> experiments{
        Experiment{{"jumping", "", "", ""}, [this] { return std::make_unique<JumpingTask>(signal_at_); }}};
    const auto file = write_configuration(comm, folder.path() / (name + ".yaml"), text);
    const SignalWatch signals;
    return code_of([&] { run_configuration(comm, file, folder.path() / name, {}, experiments); });
  }

  /// Stops at one evaluation, resumes, and compares with a run that was not stopped.
  void check(const std::string& text, int signal_at) {
    SCOPED_TRACE("signal at evaluation " + std::to_string(signal_at));
    const auto name = "stopped_" + std::to_string(signal_at);
    const auto code = run(text, name, signal_at);
    EXPECT_EQ(code, ExitCode::requeue);
    const auto again = run(text, name, 0);
    EXPECT_EQ(again, ExitCode::done);
    comm.on_root([&] {
      if (again != ExitCode::done) return;
      const auto differing =
          differences(published(folder.path() / "whole"), published(folder.path() / name));
      EXPECT_EQ(differing, std::vector<std::string>());
      const auto in_training = [](const std::string& path) { return path.starts_with("training/"); };
      EXPECT_TRUE(std::ranges::none_of(differing, in_training)) << "the weights went another way";
    });
  }

  int signal_at_ = 0;
};

/// The epochs at which a run was tracked.
std::vector<std::int64_t> tracked_epochs(const std::filesystem::path& run) {
  const auto array = hdf5::read_array(hdf5::open_file(run / "metrics.h5"), "epoch");
  const auto values = array.values<std::int64_t>();
  return {values.begin(), values.end()};
}

TEST_F(StopTest, WithinAScheduledMeasurement) {
  ASSERT_EQ(run(kEvery, "whole", 0), ExitCode::done);
  for (const int evaluation : {1, 11, 31}) check(kEvery, evaluation);
}

TEST_F(StopTest, BetweenMeasurements) {
  ASSERT_EQ(run(kEvery, "whole", 0), ExitCode::done);
  for (const int evaluation : {3, 30}) check(kEvery, evaluation);
}

TEST_F(StopTest, WithinAnAdaptiveSchedule) {
  ASSERT_EQ(run(kAdaptive, "whole", 0), ExitCode::done);
  comm.on_root([&] {
    const auto epochs = tracked_epochs(folder.path() / "whole");
    const auto in_hindsight =
        std::ranges::count_if(epochs, [](std::int64_t epoch) { return epoch % 2 == 1; });
    EXPECT_GE(in_hindsight, 3) << "the schedule must have looked back, or nothing is tested";
  });
  for (int evaluation = 3; evaluation <= 12; ++evaluation) check(kAdaptive, evaluation);
}

}  // namespace
}  // namespace grokscope
