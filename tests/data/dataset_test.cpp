// Splits, shards and the way through data.h5: every example counts once, and keeps its id.
#include "data/dataset.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/error.hpp"
#include "data/modular_arithmetic.hpp"

namespace grokscope {
namespace {

std::vector<std::int64_t> to_ids(const at::Tensor& t) {
  const auto host = t.contiguous();
  return {host.data_ptr<std::int64_t>(), host.data_ptr<std::int64_t>() + host.numel()};
}

std::vector<std::int64_t> sorted(std::vector<std::int64_t> values) {
  std::sort(values.begin(), values.end());
  return values;
}

TEST(Splits, AreDisjointAndExhaustive) {
  const auto table = modular_table(13, "add");
  for (const std::int64_t count : {1, 50, 168, 169}) {
    const auto splits = split_at_random(table, count, 3);
    EXPECT_EQ(splits.train.size(), count);
    EXPECT_EQ(splits.test.size(), 169 - count);
    EXPECT_EQ(sorted(to_ids(at::cat({splits.train.ids, splits.test.ids}))), to_ids(table.ids));
  }
  EXPECT_THROW(split_at_random(table, 0, 3), InternalError);
  EXPECT_THROW(split_at_random(table, 170, 3), InternalError);
}

TEST(Splits, RowsKeepTheirIdInputsAndTargetsTogether) {
  const auto splits = split_at_random(modular_table(13, "multiply"), 70, 3);
  for (const auto& part : {splits.train, splits.test}) {
    const auto a = part.inputs.select(1, 0), b = part.inputs.select(1, 1);
    EXPECT_TRUE(part.ids.equal(a * 13 + b));
    EXPECT_TRUE(part.targets.equal((a * b).remainder(13)));
  }
}

TEST(Splits, DependOnTheSeedAlone) {
  const auto table = modular_table(13, "add");
  const auto first = split_at_random(table, 80, 3), again = split_at_random(table, 80, 3),
             other = split_at_random(table, 80, 4), longer = split_at_random(table, 90, 3);
  EXPECT_TRUE(first.train.ids.equal(again.train.ids));
  EXPECT_TRUE(first.test.ids.equal(again.test.ids));
  EXPECT_NE(sorted(to_ids(first.train.ids)), sorted(to_ids(other.train.ids)));
  // A larger fraction of the same seed contains the smaller one, so that curves over fractions compare.
  EXPECT_TRUE(longer.train.ids.slice(0, 0, 80).equal(first.train.ids));
}

TEST(Splits, AreNotSorted) {
  const auto ids = to_ids(split_at_random(modular_table(31, "add"), 480, 0).train.ids);
  EXPECT_FALSE(std::is_sorted(ids.begin(), ids.end()));
  const double mean = static_cast<double>(std::accumulate(ids.begin(), ids.end(), std::int64_t{0})) / 480;
  EXPECT_NEAR(mean, 480, 5 * 277.4 / std::sqrt(960.0));  // half of 0..960, drawn without replacement
}

TEST(Shards, CoverEveryExampleOnceAtEveryRankCount) {
  for (const std::int64_t n : {0, 1, 5, 31, 97}) {
    const Dataset all{at::arange(100, 100 + n, at::kLong), at::arange(n, at::kDouble).view({n, 1}),
                      at::arange(n, at::kLong)};
    for (const std::int64_t ranks : {1, 2, 3, 4, 5, 6, 7, 31, 128}) {
      std::vector<at::Tensor> ids;
      std::int64_t smallest = n, largest = 0;
      for (std::int64_t r = 0; r < ranks; ++r) {
        const auto shard = all.rows(even_share(n, ranks, r));
        EXPECT_EQ(shard.inputs.size(0), shard.size());
        EXPECT_EQ(shard.targets.size(0), shard.size());
        EXPECT_TRUE((shard.ids - 100).equal(shard.targets));
        smallest = std::min(smallest, shard.size());
        largest = std::max(largest, shard.size());
        ids.push_back(shard.ids);
      }
      EXPECT_TRUE(at::cat(ids).equal(all.ids)) << n << " examples on " << ranks;
      EXPECT_LE(largest - smallest, 1);
    }
  }
}

TEST(Dataset, SelectionCopiesAndRowsAreViews) {
  auto table = modular_table(5, "add");
  const auto view = table.rows({3, 6});
  const auto copy = table.select(at::tensor({4, 1}, at::kLong));
  EXPECT_EQ(to_ids(copy.ids), (std::vector<std::int64_t>{4, 1}));
  table.targets.fill_(-1);
  EXPECT_EQ(to_ids(view.targets), (std::vector<std::int64_t>{-1, -1, -1}));
  EXPECT_EQ(to_ids(copy.targets), (std::vector<std::int64_t>{4, 1}));
  EXPECT_EQ(Dataset{}.size(), 0);
}

TEST(Dataset, ArraysComeBackBitForBit) {
  const Dataset all{at::tensor({7, 9}, at::kLong),
                    at::tensor({0.1, -0.0, 1e-320, 3.0}, at::kDouble).view({2, 2}),
                    at::tensor({0.1, 0.2}, at::kFloat).view({2, 1})};
  const auto arrays = all.arrays("train");
  ASSERT_EQ(arrays.size(), 3u);
  EXPECT_EQ(arrays[0].name, "train/ids");
  EXPECT_EQ(arrays[1].name, "train/inputs");
  EXPECT_EQ(arrays[2].name, "train/targets");
  EXPECT_EQ(arrays[1].shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_TRUE(to_tensor(arrays[0]).equal(all.ids));
  const auto inputs = to_tensor(arrays[1]);
  EXPECT_EQ(std::memcmp(inputs.data_ptr(), all.inputs.data_ptr(), 32), 0);
  EXPECT_TRUE(to_tensor(arrays[2]).equal(all.targets));
  EXPECT_EQ(to_tensor(arrays[2]).scalar_type(), at::kFloat);
  const auto transposed = to_tensor(to_named_array("t", all.inputs.t()));
  EXPECT_TRUE(transposed.equal(all.inputs.t()));
  EXPECT_EQ(to_tensor(to_named_array("none", at::zeros({0, 4}, at::kByte))).sizes(), at::IntArrayRef({0, 4}));
  EXPECT_THROW(to_named_array("half", at::zeros({1}, at::kHalf)), InternalError);
}

}  // namespace
}  // namespace grokscope
