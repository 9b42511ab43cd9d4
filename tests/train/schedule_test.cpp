// At which moments is something measured? Each kind of schedule, counted by hand.
#include "train/schedule.hpp"

#include <gtest/gtest.h>

namespace grokscope {
namespace {

/// The moments at which a run of `epochs` epochs of `per_epoch` steps is measured: their steps.
std::vector<std::int64_t> due_steps(const Schedule& schedule, std::int64_t epochs, std::int64_t per_epoch) {
  std::vector<std::int64_t> steps;
  for (std::int64_t s = 0; s <= epochs * per_epoch; ++s) {
    if (schedule.due({s / per_epoch, s, s % per_epoch, s == epochs * per_epoch})) steps.push_back(s);
  }
  return steps;
}

using Steps = std::vector<std::int64_t>;

ScheduleOptions kind(const std::string& name, const std::string& unit = "epoch") {
  ScheduleOptions o;
  o.kind = name;
  o.unit = unit;
  return o;
}

TEST(Schedule, EveryFewEpochsAndTheLast) {
  auto o = kind("every");
  o.every = 4;
  EXPECT_EQ(due_steps({o, 10}, 10, 1), (Steps{0, 4, 8, 10}));
  EXPECT_EQ(due_steps({o, 8}, 8, 1), (Steps{0, 4, 8}));
  EXPECT_EQ(due_steps({o, 9}, 9, 3), (Steps{0, 12, 24, 27}));
  EXPECT_EQ(Schedule(o, 10).count(), 4);
  EXPECT_EQ(Schedule(o, 8).count(), 3);
}

TEST(Schedule, EveryFewSteps) {
  auto o = kind("every", "step");
  o.every = 4;
  EXPECT_EQ(due_steps({o, 9}, 3, 3), (Steps{0, 4, 8, 9}));
}

TEST(Schedule, AListIsSortedAndEndsWithTheLastMoment) {
  auto o = kind("list");
  o.at = {5, 0, 2};
  EXPECT_EQ(due_steps({o, 7}, 7, 1), (Steps{0, 2, 5, 7}));
  EXPECT_EQ(Schedule(o, 7).count(), 4);
  EXPECT_EQ(Schedule(o, 5).count(), 3);  // the last moment is one of the list
  EXPECT_EQ(Schedule(o, 1).count(), 2);
  o.unit = "step";
  EXPECT_EQ(due_steps({o, 6}, 2, 3), (Steps{0, 2, 5, 6}));
}

TEST(Schedule, LogarithmicPointsBeginAtZeroAndEndAtTheLast) {
  auto o = kind("log");
  o.points = 4;
  EXPECT_EQ(due_steps({o, 1000}, 1000, 1), (Steps{0, 1, 10, 100, 1000}));
  EXPECT_EQ(Schedule(o, 1000).count(), 5);
  o.points = 200;
  const auto dense = due_steps({o, 1000}, 1000, 1);
  EXPECT_EQ(static_cast<std::int64_t>(dense.size()), Schedule(o, 1000).count());
  EXPECT_LT(dense.size(), 201u);  // small ones fall together
  EXPECT_EQ((Steps{dense.begin(), dense.begin() + 6}), (Steps{0, 1, 2, 3, 4, 5}));
  const auto last = dense[dense.size() - 2];
  EXPECT_NEAR(static_cast<double>(last), 1000 * std::pow(1000, -1 / 199.0), 1);
  o.points = 1;
  EXPECT_EQ(due_steps({o, 50}, 50, 1), (Steps{0, 50}));
}

TEST(Schedule, LogarithmicStepsFallWithinEpochs) {
  auto o = kind("log", "step");
  o.points = 3;
  EXPECT_EQ(due_steps({o, 100}, 10, 10), (Steps{0, 1, 10, 100}));
}

ScheduleOptions adaptive(std::int64_t lookback) {
  auto o = kind("adaptive");
  o.base = 10;
  o.dense = 2;
  o.threshold = 0.05;
  o.lookback = lookback;
  return o;
}

Moment at_epoch(std::int64_t epoch) {
  return {epoch, epoch, 0, false};
}
Evaluation test_accuracy(double value) {
  return {0, 0, 0, value};
}

TEST(Schedule, AdaptiveTurnsDenseWhileTestAccuracyMoves) {
  Schedule schedule(adaptive(0), 100);
  const auto keep = []() -> std::vector<double> {
    throw InternalError("nothing is to be kept without lookback");
  };
  EXPECT_TRUE(schedule.due(at_epoch(10)));
  EXPECT_FALSE(schedule.due(at_epoch(12)));
  EXPECT_TRUE(schedule.observe(at_epoch(12), test_accuracy(0.10), 10, keep).empty());
  EXPECT_FALSE(schedule.due(at_epoch(12)));  // a first evaluation is no movement
  schedule.observe(at_epoch(13), test_accuracy(0.14), 10, keep);
  EXPECT_FALSE(schedule.due(at_epoch(14)));  // .04 is below the threshold
  schedule.observe(at_epoch(14), test_accuracy(0.20), 10, keep);
  EXPECT_TRUE(schedule.due(at_epoch(14)));
  EXPECT_FALSE(schedule.due(at_epoch(15)));
  EXPECT_TRUE(schedule.due(at_epoch(16)));
  schedule.observe(at_epoch(16), test_accuracy(0.10), 14, keep);  // falling is moving, too
  EXPECT_TRUE(schedule.due(at_epoch(18)));
  schedule.observe(at_epoch(18), test_accuracy(0.11), 16, keep);
  EXPECT_FALSE(schedule.due(at_epoch(18)));
  EXPECT_TRUE(schedule.due(at_epoch(20)));
}

TEST(Schedule, AdaptiveLooksBackOverKeptWeights) {
  Schedule schedule(adaptive(3), 100);
  double weight = 0;
  const auto keep = [&] { return std::vector<double>{weight, -weight}; };
  for (std::int64_t epoch = 10; epoch < 16; ++epoch) {
    weight = static_cast<double>(epoch);
    EXPECT_TRUE(schedule.observe(at_epoch(epoch), test_accuracy(0.1), 13, keep).empty());
  }
  weight = 16;
  const auto wanted = schedule.observe(at_epoch(16), test_accuracy(0.4), 13, keep);
  ASSERT_EQ(wanted.size(), 2u);  // 13, 14, 15 were kept, and 13 has been measured
  EXPECT_EQ(wanted[0].moment.epoch, 14);
  EXPECT_EQ(wanted[1].moment.epoch, 15);
  EXPECT_EQ(wanted[0].state, (std::vector<double>{14, -14}));
  EXPECT_EQ(wanted[1].evaluation.test_acc, 0.1);
  // Still moving: nothing more to look back at.
  EXPECT_TRUE(schedule.observe(at_epoch(17), test_accuracy(0.7), 16, keep).empty());
}

TEST(Schedule, AdaptiveStateGoesOnAsIfNeverInterrupted) {
  Schedule whole(adaptive(2), 100);
  double weight = 0;
  const auto keep = [&] { return std::vector<double>{weight}; };
  const std::vector<double> accuracies{0.1, 0.1, 0.3, 0.3, 0.31, 0.6, 0.9};
  for (std::size_t cut = 0; cut < accuracies.size(); ++cut) {
    Schedule first(adaptive(2), 100), unbroken(adaptive(2), 100);
    for (std::size_t i = 0; i < accuracies.size(); ++i) {
      if (i == cut) {
        const auto arrays = first.state("probes/gop/schedule/");
        first = Schedule(adaptive(2), 100);
        first.load(arrays, "probes/gop/schedule/");
      }
      const auto now = at_epoch(static_cast<std::int64_t>(i) + 1);
      weight = static_cast<double>(i);
      const auto a = first.observe(now, test_accuracy(accuracies[i]), 0, keep);
      const auto b = unbroken.observe(now, test_accuracy(accuracies[i]), 0, keep);
      ASSERT_EQ(a.size(), b.size()) << "cut before " << cut << ", at " << i;
      for (std::size_t j = 0; j < a.size(); ++j) {
        EXPECT_EQ(a[j].moment.step, b[j].moment.step);
        EXPECT_EQ(a[j].state, b[j].state);
        EXPECT_EQ(a[j].evaluation.test_acc, b[j].evaluation.test_acc);
      }
      EXPECT_EQ(first.due(at_epoch(2)), unbroken.due(at_epoch(2)));
    }
  }
}

TEST(Schedule, OtherKindsHaveNoState) {
  EXPECT_TRUE(Schedule(kind("every"), 10).state("x/").empty());
  EXPECT_EQ(Schedule(adaptive(2), 10).state("x/").front().name, "x/previous_acc");
}

TEST(Moment, NamesGroupsAndCheckpoints) {
  EXPECT_EQ((Moment{100, 100, 0, false}).name(), "epoch_100");
  EXPECT_EQ((Moment{100, 1234, 34, false}).name(), "epoch_100_step_1234");
}

}  // namespace
}  // namespace grokscope
