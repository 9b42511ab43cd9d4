// Which signals are one wish, and which end the process?
#include "comm/stop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace grokscope {
namespace {

TEST(SignalWatchTest, TheFirstSignalIsAWish) {
  const SignalWatch watch;
  EXPECT_EQ(SignalWatch::received(), 0);
  EXPECT_FALSE(StopFlag().wanted());
  std::raise(SIGUSR1);
  EXPECT_EQ(SignalWatch::received(), SIGUSR1);
  EXPECT_TRUE(StopFlag().wanted());
}

TEST(SignalWatchTest, AnEchoIsTheSameWish) {
  const SignalWatch watch;
  for (int i = 0; i < 3; ++i) std::raise(SIGTERM);
  EXPECT_EQ(SignalWatch::received(), SIGTERM);
}

TEST(SignalWatchTest, AnotherSignalEndsTheProcess) {
  const auto two_signals = [] {
    const SignalWatch watch;
    std::raise(SIGUSR1);
    std::raise(SIGTERM);
  };
  EXPECT_EXIT(two_signals(), testing::ExitedWithCode(75), "");
}

TEST(SignalWatchTest, TheSameSignalLaterEndsTheProcess) {
  const auto two_signals = [] {
    const SignalWatch watch;
    std::raise(SIGUSR1);
    std::this_thread::sleep_for(std::chrono::milliseconds(2100));
    std::raise(SIGUSR1);
  };
  EXPECT_EXIT(two_signals(), testing::ExitedWithCode(75), "");
}

void wait(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

TEST(StopFlagTest, TheTimeLimitIsMetAndNotPassed) {
  const SignalWatch watch;
  const StopFlag flag(0.9);
  EXPECT_FALSE(flag.wanted());
  wait(300);
  EXPECT_FALSE(flag.wanted());  // 0.3 s gone, 0.3 s in reserve
  EXPECT_NEAR(flag.reserve_s(), 0.3, 0.1);
  wait(100);
  EXPECT_FALSE(flag.wanted());
  EXPECT_NEAR(flag.reserve_s(), 0.3, 0.1) << "the longest time, not the last";
  wait(290);
  EXPECT_TRUE(flag.wanted()) << "what comes next may take until after the limit";
  EXPECT_NE(flag.reason().find("--max-time"), std::string::npos);
}

TEST(StopFlagTest, SaysWhySomeoneElseAsked) {
  const SignalWatch watch;
  std::string why;
  const StopFlag flag(std::nullopt, [&] { return why; });
  EXPECT_FALSE(flag.wanted());
  why = "another group: received a signal";
  EXPECT_TRUE(flag.wanted());
  why.clear();
  EXPECT_TRUE(flag.wanted()) << "a wish is not taken back";
  EXPECT_EQ(flag.reason(), "another group: received a signal");
}

/// Or a job whose start takes longer than half its time would never do anything.
TEST(StopFlagTest, TheTimeBeforeTheFirstLookIsNoPhase) {
  const SignalWatch watch;
  const StopFlag flag(0.5);
  wait(300);
  EXPECT_FALSE(flag.wanted());
  EXPECT_EQ(flag.reserve_s(), 0);
}

}  // namespace
}  // namespace grokscope
