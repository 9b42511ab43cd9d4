// The task of paper 10: its pairs, its network, and its observables on weights set by hand.
#include "experiments/10_minegishi_tickets/experiment.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace grokscope {
namespace {

class MinegishiTest : public testing::Test {
 protected:
  void SetUp() override {
    task = minegishi_tickets().make();
    task->build_data(options);
    task->build_model(options);
  }
  void TearDown() override { comm.free(); }

  Record observe() {
    Record record;
    task->observe({}, Spread(comm), record);
    task->remember({});
    return record;
  }

  Communicator comm = Communicator::duplicate(MPI_COMM_WORLD);
  TrainingOptions options;
  std::unique_ptr<Task> task;
};

TEST_F(MinegishiTest, EveryUnorderedPairIsThereOnce) {
  EXPECT_EQ(task->data().train.size(), 911);
  EXPECT_EQ(task->data().test.size(), 2278 - 911);
  std::set<std::pair<std::int64_t, std::int64_t>> pairs;
  for (const auto& split : {task->data().train, task->data().test}) {
    for (std::int64_t i = 0; i < split.size(); ++i) {
      const auto a = split.inputs[i][0].item<std::int64_t>(), b = split.inputs[i][1].item<std::int64_t>();
      EXPECT_LE(a, b);
      EXPECT_EQ(split.targets[i].item<std::int64_t>(), (a + b) % 67);
      pairs.emplace(a, b);
    }
  }
  EXPECT_EQ(pairs.size(), 2278u);
}

TEST_F(MinegishiTest, TheNetworkIsThePapers) { EXPECT_EQ(task->model().parameters.total(), 115000); }

TEST_F(MinegishiTest, ObservablesOfWeightsSetByHand) {
  // Magnitudes 1 .. 115,000 in order: the largest 40 % are the last 46,000, that is W_U and 12,500 of W_out.
  auto& parameters = task->model().parameters;
  const auto ramp = at::arange(1, 115001, at::kDouble) * at::where(at::arange(115000) % 2 == 0, 1.0, -1.0);
  parameters.set_flat(ramp);
  const auto first = observe();
  EXPECT_EQ(first.value_of("observables/kept_share_embed.W_E"), 0);
  EXPECT_DOUBLE_EQ(first.value_of("observables/kept_share_mlp.W_out"), 12500.0 / 24000);
  EXPECT_EQ(first.value_of("observables/kept_share_unembed.W_U"), 1);
  EXPECT_DOUBLE_EQ(first.value_of("observables/near_zero_share"), 1149.0 / 115000);  // below .01 of 115,000
  const auto sum_of_squares = [](double n) { return n * (n + 1) * (2 * n + 1) / 6; };
  EXPECT_NEAR(first.value_of("observables/kept_square_share"), 1 - sum_of_squares(69000) / sum_of_squares(115000), 1e-12);
  EXPECT_NEAR(first.value_of("observables/norm_embed.W_E"), std::sqrt(sum_of_squares(33500)), 1e-6);
  EXPECT_TRUE(std::isnan(first.value_of("observables/mask_distance")));
  EXPECT_EQ(observe().value_of("observables/mask_distance"), 0);
  parameters.set_flat(ramp.roll(23000));  // half of the kept ones stay: 23,000 in common of 69,000
  EXPECT_DOUBLE_EQ(observe().value_of("observables/mask_distance"), 1 - 1.0 / 3);
}

TEST_F(MinegishiTest, TauIsTheRatioOfTheTwoTimes) {
  options.memorised_at = options.generalised_at = .95;
  History history;
  history.step = {0, 100, 120, 300};
  history.evaluations = {{1, 1, 0, 0}, {1, 1, .95, .2}, {1, 1, 1, .9}, {1, 1, 1, .96}};
  EXPECT_DOUBLE_EQ(task->results(options, history).at(0).values.at(0), 3);
  history.evaluations.back().test_acc = .9;
  EXPECT_TRUE(std::isnan(task->results(options, history).at(0).values.at(0)));
}

}  // namespace
}  // namespace grokscope
