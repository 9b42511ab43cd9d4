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

}  // namespace
}  // namespace grokscope
