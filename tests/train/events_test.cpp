// When it memorised, when it generalised, and when a stop rule ends the run.
#include "train/events.hpp"

#include <gtest/gtest.h>

namespace grokscope {
namespace {

Moment at_epoch(std::int64_t epoch) {
  return {epoch, 10 * epoch, 0, false};
}

TEST(Events, TheFirstEvaluationAtOrAboveTheThresholdCounts) {
  TrainingOptions options;
  options.memorised_at = 0.99;
  options.generalised_at = 0.95;
  Events events(options);
  EXPECT_FALSE(events.t_mem() || events.t_gen());
  events.observe(at_epoch(1), {1, 1, 0.989, 0.2});
  EXPECT_FALSE(events.t_mem());
  events.observe(at_epoch(2), {1, 1, 0.99, 0.3});
  events.observe(at_epoch(3), {1, 1, 0.5, 0.96});
  events.observe(at_epoch(4), {1, 1, 1.0, 1.0});
  ASSERT_TRUE(events.t_mem() && events.t_gen());
  EXPECT_EQ(events.t_mem()->epoch, 2);
  EXPECT_EQ(events.t_mem()->step, 20);
  EXPECT_EQ(events.t_gen()->epoch, 3);
  for (const char* part : {"0.99", "0.95", "train_acc", "test_acc"}) {
    EXPECT_NE(events.rule().find(part), std::string::npos) << events.rule();
  }
}

TEST(Events, BothMayFallTogether) {
  Events events(TrainingOptions{});
  events.observe(at_epoch(7), {0, 0, 1, 1});
  EXPECT_EQ(events.t_mem()->epoch, 7);
  EXPECT_EQ(events.t_gen()->epoch, 7);
}

StopRule rule(const std::string& metric) {
  StopRule r;
  r.metric = metric;
  return r;
}

TEST(StopWatcher, EndsSoManyEpochsAfterTheBoundWasFirstMet) {
  auto r = rule("test_acc");
  r.above = 0.9;
  r.after = 5;
  StopWatcher watcher(r);
  EXPECT_FALSE(watcher.ends_at(at_epoch(100)));
  watcher.observe(at_epoch(3), {0, 0, 1, 0.89});
  EXPECT_FALSE(watcher.ends_at(at_epoch(100)));
  watcher.observe(at_epoch(4), {0, 0, 1, 0.9});
  watcher.observe(at_epoch(6), {0, 0, 1, 0.2});  // does not take it back
  EXPECT_FALSE(watcher.ends_at(at_epoch(8)));
  EXPECT_TRUE(watcher.ends_at(at_epoch(9)));
  EXPECT_TRUE(watcher.ends_at(at_epoch(10)));
}

TEST(StopWatcher, ReadsTheMetricThatItsRuleNames) {
  const Evaluation e{0.1, 0.2, 0.3, 0.4};
  const std::vector<std::pair<std::string, double>> values{
      {"train_loss", 0.1}, {"test_loss", 0.2}, {"train_acc", 0.3}, {"test_acc", 0.4}};
  for (const auto& [metric, value] : values) {
    for (const double offset : {-0.01, 0.0, 0.01}) {
      auto above = rule(metric), below = rule(metric);
      above.above = value + offset;
      below.below = value + offset;
      StopWatcher upper(above), lower(below);
      upper.observe(at_epoch(1), e);
      lower.observe(at_epoch(1), e);
      EXPECT_EQ(upper.ends_at(at_epoch(2)), offset <= 0) << metric << " above " << value + offset;
      EXPECT_EQ(lower.ends_at(at_epoch(2)), offset >= 0) << metric << " below " << value + offset;
      EXPECT_FALSE(upper.ends_at(at_epoch(1)) || lower.ends_at(at_epoch(1))) << "the moment that met the rule is not the last";
    }
  }
}

TEST(StopWatcher, WithoutARuleNothingEnds) {
  StopWatcher watcher(std::nullopt);
  watcher.observe(at_epoch(1), {0, 0, 1, 1});
  EXPECT_FALSE(watcher.ends_at(at_epoch(1000000)));
}

}  // namespace
}  // namespace grokscope
