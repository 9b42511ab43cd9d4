// The numbers of a run from curves drawn by hand, and the paper's network.
#include "experiments/06_humayun_deep/course.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/06_humayun_deep/experiment.hpp"

namespace grokscope::humayun {
namespace {

History history_of(const std::vector<std::int64_t>& steps, const std::vector<double>& values) {
  History history;
  history.step = steps;
  history.observables["x"] = values;
  return history;
}

double value(const std::vector<Result>& results, const std::string& name) {
  for (const auto& r : results) {
    if (r.name == name) return r.values.at(0);
  }
  ADD_FAILURE() << "no result " << name;
  return kMissing;
}

TEST(RobustnessCourse, ComparesTheLatePartWithThePlateau) {
  // The early maximum .38 and the .9 between plateau and late part must not count.
  const auto h = history_of({0, 50, 300, 1000, 6000, 10000, 15000, 18000, 20000},
                            {.1, .38, .04, .03, .05, .9, .06, .12, .10});
  const auto r = robustness_course(h, {"x"});
  EXPECT_EQ(value(r, "x_plateau_min"), .03);
  EXPECT_EQ(value(r, "x_plateau_max"), .05);
  EXPECT_EQ(value(r, "x_late_max"), .12);
  EXPECT_DOUBLE_EQ(value(r, "x_rise"), 4);
}

TEST(RobustnessCourse, OfASeriesThatBeganLateOrNeverIsMissing) {
  const auto h = history_of({0, 300, 1000, 20000}, {kMissing, kMissing, .2, .4});
  EXPECT_EQ(value(robustness_course(h, {"x"}), "x_plateau_min"), .2);
  EXPECT_TRUE(std::isnan(value(robustness_course(h, {"y"}), "y_rise")));
  EXPECT_TRUE(std::isnan(value(robustness_course(history_of({0, 10}, {.1, .2}), {"x"}), "x_rise")));
}

TEST(Onset, IsTheFirstStepPastTheEarlyMaximum) {
  const auto h = history_of({0, 50, 300, 6000, 9000, 12000}, {.1, .38, .31, .02, .03, .3});
  EXPECT_EQ(onset_step(h, "x", .03), 9000);
  EXPECT_TRUE(std::isnan(onset_step(h, "x", .5)));
}

TEST(ComplexityCourse, IsDescentAscentDescent) {
  const auto h = history_of({0, 10, 22, 300, 1800, 6000, 20000}, {.5, 2.5, 2, 3, 6, 4, 1.5});
  const auto r = complexity_course(h, {"x"});
  EXPECT_EQ(value(r, "x_early_min"), 2);  // not the .5 of the initialisation
  EXPECT_EQ(value(r, "x_peak"), 6);
  EXPECT_EQ(value(r, "x_end"), 1.5);
  EXPECT_DOUBLE_EQ(value(r, "x_ascent"), 3);
  EXPECT_DOUBLE_EQ(value(r, "x_descent"), .25);
}

TEST(ComplexityCourse, APeakBeforeTheMinimumIsNone) {
  const auto r = complexity_course(history_of({0, 10, 300, 2000}, {9, 8, 2, 1}), {"x"});
  EXPECT_EQ(value(r, "x_peak"), 1);
  EXPECT_DOUBLE_EQ(value(r, "x_ascent"), .5);
}

TEST(Network, HasThePapersParameters) {
  const auto task = humayun_deep().make();
  task->build_model({});
  EXPECT_EQ(task->model().parameters.total(), 239410);
  EXPECT_EQ(task->model().parameters.layers().size(), 4u);
}

}  // namespace
}  // namespace grokscope::humayun
