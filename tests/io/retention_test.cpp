// Which checkpoints stay?
#include "io/retention.hpp"

#include <gtest/gtest.h>


namespace grokscope {
namespace {

/// Epochs that are left when a checkpoint is written every 10 epochs up to `last`, and generalisation comes at `center`.
std::vector<std::int64_t> left_of(std::int64_t last, Retention rule, std::int64_t center = -1) {
  std::vector<std::int64_t> epochs;
  for (std::int64_t epoch = 10; epoch <= last; epoch += 10) {
    epochs.push_back(epoch);
    if (center >= 0 && epoch >= center) rule.center = center;
    const auto surplus = surplus_checkpoints(epochs, rule);
    for (auto i = surplus.rbegin(); i != surplus.rend(); ++i) epochs.erase(epochs.begin() + static_cast<std::ptrdiff_t>(*i));
  }
  return epochs;
}

using Epochs = std::vector<std::int64_t>;

TEST(RetentionTest, AllStayByDefault) { EXPECT_EQ(left_of(50, {}), (Epochs{10, 20, 30, 40, 50})); }

TEST(RetentionTest, TheNewestStay) { EXPECT_EQ(left_of(90, {2, 0, {}, 0, {}}), (Epochs{80, 90})); }

TEST(RetentionTest, EveryMthStays) { EXPECT_EQ(left_of(90, {2, 40, {}, 0, {}}), (Epochs{40, 80, 90})); }

TEST(RetentionTest, NamedEpochsStay) { EXPECT_EQ(left_of(90, {1, 0, {20, 35, 60}, 0, {}}), (Epochs{20, 60, 90})); }

TEST(RetentionTest, ThoseAroundGeneralisationStay) {
  // Two before epoch 50 and two from it on, whether that one is a checkpoint or not; those before it stay until it is known.
  EXPECT_EQ(left_of(200, {1, 0, {}, 2, {}}, 50), (Epochs{30, 40, 50, 60, 200}));
  EXPECT_EQ(left_of(200, {1, 0, {}, 2, {}}, 45), (Epochs{30, 40, 50, 60, 200}));
  EXPECT_EQ(left_of(200, {1, 0, {}, 2, {}}), (Epochs{190, 200}));
}

TEST(RetentionTest, FewerThanAskedFor) {
  EXPECT_TRUE(surplus_checkpoints({}, {3, 0, {}, 2, 50}).empty());
  const Epochs one{10};
  EXPECT_TRUE(surplus_checkpoints(one, {3, 0, {}, 0, {}}).empty());
}

}  // namespace
}  // namespace grokscope
