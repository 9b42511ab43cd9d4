// Does a silent rank end, with a reason, and only a silent one?
#include "comm/watchdog.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <sys/wait.h>
#include <unistd.h>

namespace grokscope {
namespace {

using std::chrono::milliseconds;

void be_silent() {
  for (;;) std::this_thread::sleep_for(milliseconds(10));
}

TEST(WatchdogTest, ASilentRankSaysWhereItIsAndEnds) {
  const auto fall_silent = [] {
    Watchdog watchdog({1, 0.2, 0.1}, [](const std::string& line) { std::fprintf(stderr, "STATUS: %s\n", line.c_str()); });
    watchdog.note("train/reduce");
    be_silent();
  };
  EXPECT_EXIT(fall_silent(), testing::ExitedWithCode(3),
              "rank 1 on .* silent .* at train/reduce since 20.*max_silence_s.*\nSTATUS: rank 1");
}

TEST(WatchdogTest, SignsOfLifeKeepItQuiet) {
  bool has_ended = false;
  Watchdog watchdog({0, 0.4, 0}, [&](const std::string&) { has_ended = true; });
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    i % 2 == 0 ? watchdog.note("train") : watchdog.note();
  }
  EXPECT_FALSE(has_ended);
}

TEST(WatchdogTest, WithoutALimitNobodyWatches) {
  Watchdog watchdog({0, 0, 0}, [](const std::string&) { FAIL(); });
  std::this_thread::sleep_for(milliseconds(100));
}

/// A batch system may suspend a job for hours.
TEST(WatchdogTest, TimeInWhichTheProcessSleptDoesNotCount) {
  const auto child = ::fork();
  if (child == 0) {
    Watchdog watchdog({0, 1.5, 0}, [](const std::string&) {});
    watchdog.note("train");
    std::this_thread::sleep_for(milliseconds(1400));  // 0.2 s of them awake
    std::_Exit(0);
  }
  ::usleep(100'000);
  ::kill(child, SIGSTOP);
  ::usleep(2'500'000);
  ::kill(child, SIGCONT);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace grokscope
