// Does a study's queue keep the order of the file, wait for predecessors, and skip what can no longer run?
#include "study/member_queue.hpp"

#include <gtest/gtest.h>

namespace grokscope {
namespace {

TEST(MemberQueue, KeepsTheOrderAndEnds) {
  MemberQueue queue({{"a", {}}, {"b", {}}, {"c", {}}});
  EXPECT_EQ(queue.take(), 0u);
  EXPECT_EQ(queue.take(), 1u);
  queue.end(1, MemberState::done, "");
  EXPECT_FALSE(queue.nothing_waits());
  EXPECT_EQ(queue.take(), 2u);
  EXPECT_EQ(queue.take(), std::nullopt);
  EXPECT_TRUE(queue.nothing_waits());
  EXPECT_EQ(queue.state(0), MemberState::running);
  EXPECT_EQ(queue.count(MemberState::done), 1u);
}

TEST(MemberQueue, WaitsForPredecessorsAndLetsOthersPass) {
  MemberQueue queue({{"ticket", {2}}, {"control", {}}, {"dense", {}}});
  EXPECT_EQ(queue.take(), 1u);
  EXPECT_EQ(queue.take(), 2u);
  EXPECT_EQ(queue.take(), std::nullopt);
  EXPECT_FALSE(queue.nothing_waits());
  queue.end(1, MemberState::done, "");
  EXPECT_EQ(queue.take(), std::nullopt);
  queue.end(2, MemberState::done, "");
  EXPECT_EQ(queue.take(), 0u);
}

TEST(MemberQueue, SkipsWhatComesAfterAFailure) {
  MemberQueue queue({{"dense", {}}, {"ticket", {0}}, {"shrunk", {1}}, {"other", {}}});
  queue.take();
  queue.end(0, MemberState::failed, "diverged");
  EXPECT_EQ(queue.state(1), MemberState::skipped);
  EXPECT_EQ(queue.reason(1), "it comes after dense, which failed");
  EXPECT_EQ(queue.state(2), MemberState::skipped);
  EXPECT_EQ(queue.reason(2), "it comes after ticket, which was skipped");
  EXPECT_EQ(queue.take(), 3u);
  EXPECT_TRUE(queue.nothing_waits());
}

TEST(MemberQueue, ACheckpointedPredecessorIsNoFailure) {
  MemberQueue queue({{"dense", {}}, {"ticket", {0}}});
  queue.take();
  queue.end(0, MemberState::checkpointed, "stopped");
  EXPECT_EQ(queue.state(1), MemberState::pending);
  EXPECT_EQ(queue.take(), std::nullopt);
}

}  // namespace
}  // namespace grokscope
