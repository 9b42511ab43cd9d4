// When a program defines a paper's results otherwise than the one that trained, does a finished run show the new ones?
#include <gtest/gtest.h>

#include <array>

#include "io/folder_test.hpp"
#include "nn/linear_model.hpp"
#include "run/published_run.hpp"
#include "run/regression_task.hpp"

namespace grokscope {
namespace {

enum class Rule { first, last };  ///< which evaluation the one result is of

class RedefinedTask : public RegressionTask {
 public:
  explicit RedefinedTask(Rule rule) : RegressionTask({"redefined", "a test", "nobody", "nothing"}, 6, 9), rule_(rule) {}

  void build_model(const TrainingOptions&) override {
    model_ = std::make_unique<LinearModel>(first_weights());
    loss_ = regression_mse(0.01);
  }
  std::vector<Result> results(const TrainingOptions&, const History& history) const override {
    const auto& e = history.evaluations;
    const bool is_first = rule_ == Rule::first;
    return {{"loss", {(is_first ? e.front() : e.back()).train_loss}, {"a loss", "1", is_first ? "the first" : "the last"}},
            {"axis", {1, 2}, {"an axis", "1", "1 and 2"}},
            {"curve", {3, 4}, {"a curve", "1", "3 and 4"}, "axis"}};
  }

 private:
  Rule rule_;
};

class RedefinedTest : public FolderTest {
 protected:
  PublishedArrays run(Rule rule) {
    const std::vector<Experiment> experiments{
        Experiment{{"redefined", "", "", ""}, [=] { return std::make_unique<RedefinedTask>(rule); }}};
    const auto file = write_configuration(comm, folder.path() / "run.yaml",
                                          "experiment: {name: redefined}\ntraining: {epochs: 8, lr: 0.1, dtype: float64}\n"
                                          "gop_tracking: {frequency: 4, top_k_eigen: 2}\n");
    was_done = run_configuration(comm, file, folder.path() / "run", {}, experiments).already_done;
    PublishedArrays content;
    comm.on_root([&] { content = published(folder.path() / "run"); });
    return content;
  }

  /// The result as metrics.h5 has it, and the first and the last evaluation. On the root.
  std::array<double, 3> result_first_and_last() const {
    const auto file = hdf5::open_file(folder.path() / "run" / "metrics.h5");
    const auto losses = hdf5::read_array(file, "training/train_loss"), result = hdf5::read_array(file, "results/loss");
    return {result.values<double>()[0], losses.values<double>().front(), losses.values<double>().back()};
  }

  /// What the list says it runs along. On the root.
  std::string curve_runs_along() const {
    const auto file = hdf5::open_file(folder.path() / "run" / "metrics.h5");
    return attribute_value<std::string>(hdf5::read_attributes(hdf5::open_dataset(file, "results/curve")), "over");
  }

  bool was_done = false;
};

TEST_F(RedefinedTest, AFinishedRunShowsTheResultsOfTheProgramThatLooksAtIt) {
  const auto trained = run(Rule::first);
  EXPECT_FALSE(was_done);
  comm.on_root([&] {
    const auto [result, first, last] = result_first_and_last();
    EXPECT_EQ(result, first);
    EXPECT_NE(first, last);
  });
  EXPECT_TRUE(differences(run(Rule::first), trained).empty());
  comm.on_root([&] { EXPECT_EQ(curve_runs_along(), "axis") << "read back from the checkpoint and published again"; });
  const auto again = run(Rule::last);
  EXPECT_TRUE(was_done);
  comm.on_root([&] {
    const auto [result, first, last] = result_first_and_last();
    EXPECT_EQ(result, last);
    EXPECT_EQ(differences(again, trained), std::vector<std::string>{"results/loss"});
  });
  EXPECT_TRUE(differences(run(Rule::first), trained).empty());  // the commit has kept what it was committed with
}

}  // namespace
}  // namespace grokscope
