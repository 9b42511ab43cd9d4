// When training breaks, is the last good state on the disk, and only good numbers in the files?
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "io/checkpoint.hpp"
#include "io/folder_test.hpp"
#include "nn/linear_model.hpp"
#include "run/published_run.hpp"
#include "run/regression_task.hpp"

namespace grokscope {
namespace {

/// A linear model whose loss, or whose gradient alone, ceases to be a number once enough steps have been taken.
class BreakingModel : public LinearModel {
 public:
  BreakingModel(const at::Tensor& initial, const std::int64_t& steps, std::int64_t good_steps, bool by_gradient)
      : LinearModel(initial), steps_(steps), good_steps_(good_steps), by_gradient_(by_gradient) {}

  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override {
    const auto outputs = LinearModel::forward(inputs, tape);
    if (steps_ < good_steps_) return outputs;
    if (!by_gradient_) return outputs * std::numeric_limits<double>::infinity();
    return outputs + (outputs - outputs).sqrt();  // adds 0, with the derivative infinity times 0
  }

 private:
  const std::int64_t& steps_;
  std::int64_t good_steps_;
  bool by_gradient_;
};

class BreakingTask : public RegressionTask {
 public:
  explicit BreakingTask(bool by_gradient)
      : RegressionTask({"breaking", "a test", "nobody", "training breaks"}, 6, 9), by_gradient_(by_gradient) {}

  void build_model(const TrainingOptions&) override {
    model_ = std::make_unique<BreakingModel>(first_weights(), steps_, 17, by_gradient_);
    loss_ = regression_mse(0.01);
  }
  void before_update(const Moment& now) override { steps_ = now.step + 1; }
  std::vector<NamedArray> state() const override {
    return {NamedArray::scalar<std::int64_t>("steps", steps_).described({"steps", "1", "taken"})};
  }
  void load(std::span<const NamedArray> arrays) override { steps_ = find_array(arrays, "steps").values<std::int64_t>()[0]; }

 private:
  bool by_gradient_;
  std::int64_t steps_ = 0;
};

class DivergenceTest : public FolderTest {
 protected:
  /// Runs, and returns the message of the error.
  std::string run(bool by_gradient, int log_interval) {
    const std::vector<Experiment> experiments{
        Experiment{{"breaking", "", "", ""}, [=] { return std::make_unique<BreakingTask>(by_gradient); }}};
    const auto file = write_configuration(
        comm, folder.path() / "run.yaml",
        "experiment: {name: breaking}\ntraining: {epochs: 30, optimizer: adam, lr: 0.01, dtype: float64, log_interval: " +
            std::to_string(log_interval) + "}\ngop_tracking: {frequency: 6, top_k_eigen: 2}\n");
    try {
      run_configuration(comm, file, folder.path() / "run", {}, experiments);
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  }

  void expect_newest(std::int64_t step, std::int64_t rows) {
    comm.on_root([&] {
      const auto newest = list_checkpoints(folder.path() / "run").back();
      EXPECT_EQ(newest.step, step);
      const auto checkpoint = read_checkpoint(newest.path);
      for (const auto& array : checkpoint.arrays) {
        if (!array.name.starts_with("parameters/") && !array.name.starts_with("optimizer/exp")) continue;
        for (const double value : array.values<double>()) EXPECT_TRUE(std::isfinite(value)) << array.name;
      }
      const auto losses = hdf5::read_array(hdf5::open_file(folder.path() / "run" / "metrics.h5"), "training/train_loss");
      EXPECT_EQ(losses.shape.front(), rows);
      for (const double loss : losses.values<double>()) EXPECT_TRUE(std::isfinite(loss));
    });
  }
};

TEST_F(DivergenceTest, ALossThatIsNoNumberLeavesTheLastStateThatWasLookedAt) {
  EXPECT_NE(run(false, 5).find("diverged"), std::string::npos);
  expect_newest(15, 4);
}

TEST_F(DivergenceTest, AGradientThatIsNoNumberLeavesTheStateItBelongsTo) {
  EXPECT_NE(run(true, 5).find("gradient is not finite"), std::string::npos);
  expect_newest(17, 4);
}

TEST_F(DivergenceTest, TheSameCommandBreaksAtTheSamePlaceAgain) {
  const auto first = run(false, 5);
  EXPECT_EQ(run(false, 5), first);
  expect_newest(15, 4);
}

}  // namespace
}  // namespace grokscope
