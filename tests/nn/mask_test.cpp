// Masks by magnitude and their distance, on weights that can be pruned by hand.
#include "nn/mask.hpp"

#include <gtest/gtest.h>

namespace grokscope {
namespace {

at::Tensor mask(const std::vector<std::int64_t>& flags) { return at::tensor(flags, at::kLong).to(at::kBool); }

TEST(MagnitudeMask, KeepsTheLargestWhateverTheirSign) {
  const auto weights = at::tensor({0.1, -5.0, 2.0, -0.2, 3.0, 0.0, -4.0, 1.0, 0.5, -0.3}, at::kDouble);
  EXPECT_TRUE(magnitude_mask(weights, 0.4).equal(mask({0, 1, 1, 0, 1, 0, 1, 0, 0, 0})));
  EXPECT_TRUE(magnitude_mask(weights, 0.1).equal(mask({0, 1, 0, 0, 0, 0, 0, 0, 0, 0})));
  EXPECT_TRUE(magnitude_mask(weights, 0.9).equal(mask({1, 1, 1, 1, 1, 0, 1, 1, 1, 1})));
  EXPECT_EQ(magnitude_mask(weights, 1).sum().item<std::int64_t>(), 10);
  EXPECT_EQ(magnitude_mask(weights, 0).sum().item<std::int64_t>(), 0);
}

TEST(MagnitudeMask, DropsTheWholeNumberBelowTheShare) {
  const auto weights = at::arange(1, 8, at::kDouble);  // 7 weights: .6 of them are 4.2, so 4 are dropped
  EXPECT_TRUE(magnitude_mask(weights, 0.4).equal(mask({0, 0, 0, 0, 1, 1, 1})));
}

TEST(MagnitudeMask, DropsTiesWithTheThreshold) {
  const auto weights = at::tensor({1.0, -1.0, 1.0, 2.0}, at::kDouble);
  EXPECT_TRUE(magnitude_mask(weights, 0.5).equal(mask({0, 0, 0, 1})));
}

TEST(MaskDistance, IsTheJaccardDistance) {
  EXPECT_DOUBLE_EQ(mask_distance(mask({1, 1, 0, 0}), mask({1, 1, 0, 0})), 0);
  EXPECT_DOUBLE_EQ(mask_distance(mask({1, 1, 0, 0}), mask({0, 0, 1, 1})), 1);
  // One in common of three kept by either. (The share of differing flags would be 1/2.)
  EXPECT_DOUBLE_EQ(mask_distance(mask({1, 1, 0, 0}), mask({0, 1, 1, 0})), 1 - 1.0 / 3);
  // A subset: two of three. (Divided by the smaller mask it would be 0.)
  EXPECT_DOUBLE_EQ(mask_distance(mask({1, 1, 1, 0}), mask({1, 1, 0, 0})), 1.0 / 3);
  EXPECT_DOUBLE_EQ(mask_distance(mask({0, 0}), mask({0, 0})), 0);
}

TEST(MaskDistance, IsSymmetricAndRefusesOtherSizes) {
  const auto a = mask({1, 1, 1, 0, 0}), b = mask({1, 0, 0, 0, 1});
  EXPECT_DOUBLE_EQ(mask_distance(a, b), mask_distance(b, a));
  EXPECT_THROW(mask_distance(a, mask({1, 0})), std::exception);
}

}  // namespace
}  // namespace grokscope
