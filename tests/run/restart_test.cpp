// Does every optimizer, with full batches and minibatches, on a fixed and on an adaptive schedule, go on bit by bit after a
// stop, whatever the rank count? The stop falls into the middle, at another evaluation each time.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "comm/stop.hpp"
#include "io/folder_test.hpp"
#include "run/jumping_task.hpp"
#include "run/published_run.hpp"

namespace grokscope {
namespace {

struct Case {
  const char* name;
  const char* optimizer;
  const char* batch;
  const char* schedule;
  int signal_at;  ///< evaluation
};

constexpr auto* kFixed = "frequency: 5";
constexpr auto* kAdaptive = "schedule: {kind: adaptive, base: 10, dense: 2, threshold: 0.1, lookback: 3}";
constexpr auto* kSgd = "optimizer: sgd, lr: 0.02";
constexpr auto* kMomentum = "optimizer: sgd, lr: 0.004, momentum: 0.9, weight_decay: 0.01";
constexpr auto* kAdam = "optimizer: adam, lr: 0.1, weight_decay: 0.01";
constexpr auto* kAdamW = "optimizer: adamw, lr: 0.1, betas: [0.9, 0.98], weight_decay: 0.1";

class RestartTest : public FolderTest, public testing::WithParamInterface<Case> {
 protected:
  ExitCode run(const std::string& name, int signal_at) {
    signal_at_ = signal_at;
    const std::vector<Experiment> experiments{
        Experiment{{"jumping", "", "", ""}, [this] { return std::make_unique<JumpingTask>(signal_at_); }}};
    const auto file = write_configuration(
        comm, folder.path() / (name + ".yaml"),
        fmt::format("experiment: {{name: jumping}}\n"
                    "training: {{epochs: 20, {}, batch_size: {}, dtype: float64, log_interval: 1}}\n"
                    "gop_tracking: {{top_k_eigen: 3, {}}}\n",
                    GetParam().optimizer, GetParam().batch, GetParam().schedule));
    const SignalWatch signals;
    return code_of([&] { run_configuration(comm, file, folder.path() / name, {}, experiments); });
  }

  int signal_at_ = 0;
};

TEST_P(RestartTest, TheResumedRunEndsAsTheWholeOne) {
  ASSERT_EQ(run("whole", 0), ExitCode::done);
  ASSERT_EQ(run("stopped", GetParam().signal_at), ExitCode::requeue);
  ASSERT_EQ(run("stopped", 0), ExitCode::done);
  comm.on_root([&] {
    const auto whole = published(folder.path() / "whole"), stopped = published(folder.path() / "stopped");
    EXPECT_GT(whole.size(), 20U);
    EXPECT_EQ(differences(whole, stopped), std::vector<std::string>());
  });
}

INSTANTIATE_TEST_SUITE_P(
    All, RestartTest,
    testing::Values(Case{"sgd_full", kSgd, "full", kFixed, 8}, Case{"sgd_mini", kSgd, "4", kAdaptive, 9},
                    Case{"momentum_full", kMomentum, "full", kAdaptive, 7}, Case{"momentum_mini", kMomentum, "5", kFixed, 6},
                    Case{"adam_full", kAdam, "full", kAdaptive, 5}, Case{"adam_mini", kAdam, "4", kFixed, 11},
                    Case{"adamw_full", kAdamW, "full", kFixed, 10}, Case{"adamw_mini", kAdamW, "3", kAdaptive, 12}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace grokscope
