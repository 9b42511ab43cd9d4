// Do scopes add up under their paths, and is every change of the open scope told? And what will the rest take?
#include "base/timer.hpp"

#include <gtest/gtest.h>

#include "base/pace.hpp"

namespace grokscope {
namespace {

TEST(TimerTreeTest, TheObserverHearsWhereTheProgramIs) {
  TimerTree timers;
  std::vector<std::string> heard;
  timers.observe([&](const std::string& path) { heard.push_back(path); });
  {
    const auto train = timers.scope("train");
    { const auto reduce = timers.scope("reduce"); }
    { const auto reduce = timers.scope("reduce"); }
  }
  EXPECT_EQ(heard, (std::vector<std::string>{"train", "train/reduce", "train", "train/reduce", "train", ""}));
}

TEST(TimerTreeTest, PhasesAreCountedByTheirPaths) {
  TimerTree timers;
  for (int i = 0; i < 3; ++i) {
    const auto outer = timers.scope("a");
    const auto inner = timers.scope("b");
  }
  const auto phases = timers.phases();
  ASSERT_EQ(phases.size(), 3U);
  EXPECT_EQ(phases[1].name, "a");
  EXPECT_EQ(phases[2].name, "a/b");
  EXPECT_EQ(phases[2].calls, 3);
  EXPECT_GE(phases[1].total_s, phases[2].total_s);
  EXPECT_NEAR(phases[1].self_s, phases[1].total_s - phases[2].total_s, 1e-9);
  EXPECT_EQ(timers.total_of("a/b"), phases[2].total_s);
}

TEST(Pace, NothingIsPromisedBeforeTwoSteps) {
  Pace pace;
  EXPECT_FALSE(pace.remaining(100));
  pace.add(0, 3);
  EXPECT_FALSE(pace.remaining(100)) << "not 0";
  pace.add(0, 4);
  EXPECT_FALSE(pace.remaining(100));
}

TEST(Pace, TheLaterHalfCounts) {
  Pace pace;
  pace.add(20, 0);   // resumed here
  pace.add(21, 60);  // a step a minute
  EXPECT_DOUBLE_EQ(*pace.remaining(120), 99 * 60);
  pace.add(60, 100);
  pace.add(100, 120);  // two steps a second since the middle
  EXPECT_DOUBLE_EQ(*pace.remaining(120), 10);
  EXPECT_EQ(*pace.remaining(100), 0);
}

}  // namespace
}  // namespace grokscope
