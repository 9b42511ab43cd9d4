// Which launches are refused before they can do harm?
#include "comm/environment.hpp"

#include <gtest/gtest.h>

namespace grokscope {
namespace {

LaunchInfo srun(int tasks, bool has_pmi) {
  LaunchInfo info;
  info.launcher = "srun";
  info.expected_ranks = tasks;
  info.has_pmi = has_pmi;
  return info;
}

TEST(LaunchTest, SrunWithoutPmiIsRefused) {
  EXPECT_THROW(check_launcher(srun(2, false)), EnvironmentError);
  EXPECT_THROW(check_launcher(srun(1, false)), EnvironmentError);
  EXPECT_NO_THROW(check_launcher(srun(2, true)));
}

TEST(LaunchTest, WithoutALauncherNothingIsMissing) {
  LaunchInfo info;
  info.launcher = "none";
  EXPECT_NO_THROW(check_launcher(info));
  EXPECT_TRUE(check_launch(info, 1, 1).empty());
}

TEST(LaunchTest, RanksThatSeeOnlyThemselvesAreRefused) {
  EXPECT_THROW(check_launch(srun(2, true), 1, 1), EnvironmentError);
  EXPECT_NO_THROW(check_launch(srun(2, true), 2, 1));
}

}  // namespace
}  // namespace grokscope
