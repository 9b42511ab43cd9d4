// Do the series of a run keep their places when moments lack numbers?
#include "train/task.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace grokscope {
namespace {

Record observation(const std::vector<std::pair<std::string, double>>& values) {
  Record record;
  for (const auto& [name, value] : values) record.set({"observables/" + name, "", "1", ""}, value);
  return record;
}

TEST(History, MissingNumbersAreNaNInTheirPlace) {
  History history;
  history.add(0, {1, 2, 3, 4});
  history.add(observation({{"a", 1}}));
  history.add(5, {});  // evaluated, not observed
  history.add(10, {});
  auto last = observation({{"b", 6}, {"a", 7}});
  last.set({"observables/list", "", "1", ""}, std::vector<double>{1, 2});
  history.add(last);
  history.add(15, {});
  EXPECT_EQ(history.step, (std::vector<std::int64_t>{0, 5, 10, 15}));
  EXPECT_EQ(history.evaluations.front().test_acc, 4);
  ASSERT_EQ(history.observables.size(), 2u);
  const auto &a = history.observables.at("a"), &b = history.observables.at("b");
  ASSERT_EQ(a.size(), 4u);
  ASSERT_EQ(b.size(), 4u);
  EXPECT_EQ(a[0], 1);
  EXPECT_TRUE(std::isnan(a[1]));
  EXPECT_EQ(a[2], 7);
  EXPECT_TRUE(std::isnan(a[3]));
  EXPECT_TRUE(std::isnan(b[0]) && std::isnan(b[1]));
  EXPECT_EQ(b[2], 6);
  EXPECT_TRUE(std::isnan(b[3]));
}

/// Its observables are dear.
class ScheduledTask : public Task {
 public:
  TaskInfo info() const override { return {}; }
  void declare(Schemas& schemas) override { declare_observation_schedule(schemas); }
  void build_data(const TrainingOptions&) override {}
  void build_model(const TrainingOptions&) override {}
};

TEST(ObservationSchedule, IsAKeyOfTheTask) {
  ScheduledTask task;
  EXPECT_FALSE(task.observation_schedule());
  Schemas schemas;
  task.declare(schemas);
  ASSERT_NE(schemas.find("observables"), nullptr);
  EXPECT_NE(schemas.find("observables")->find("schedule"), nullptr);
}

}  // namespace
}  // namespace grokscope
