// Text, index arithmetic, random streams, arrays.
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

#include "base/block_cyclic.hpp"
#include "base/named_array.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "base/timer.hpp"

namespace grokscope {
namespace {

TEST(Text, FindsTheNearestWord) {
  const std::vector<std::string> words{"epochs", "batch_size", "weight_decay"};
  EXPECT_EQ(nearest_word("epoch", words), "epochs");
  EXPECT_EQ(nearest_word("wieght_decay", words), "weight_decay");
  EXPECT_EQ(nearest_word("colour", words), "");
}

TEST(Text, ParsesDurationsAsSlurmWritesThem) {
  EXPECT_EQ(parse_duration("90"), 90);
  EXPECT_EQ(parse_duration("15m"), 900);
  EXPECT_EQ(parse_duration("01:02:03"), 3723);
  EXPECT_EQ(parse_duration("2-03:00:00"), 2 * 86400 + 3 * 3600);
  EXPECT_EQ(parse_duration("1-06"), 86400 + 6 * 3600);
  EXPECT_THROW(parse_duration("soon"), UserError);
  EXPECT_THROW(parse_duration("1:2:3:4"), UserError);
}

TEST(Text, FormatsBytesAndDurations) {
  EXPECT_EQ(format_bytes(117375e3), "117 MB");
  EXPECT_EQ(format_bytes(12), "12 B");
  EXPECT_EQ(format_duration(200), "3 min 20 s");
}

TEST(BlockCyclic, RoundTripsEveryIndexOnEveryProcess) {
  for (const std::int64_t n : {0, 1, 5, 64, 65, 130, 333}) {
    for (const std::int64_t nb : {1, 3, 32, 64}) {
      for (const int processes : {1, 2, 3, 7, 31}) {
        const BlockCyclic d{n, nb, processes};
        std::int64_t total = 0;
        for (int p = 0; p < processes; ++p) {
          total += d.local_count(p);
          for (std::int64_t i = 0; i < d.local_count(p); ++i) {
            const auto glob = d.global_index(i, p);
            ASSERT_LT(glob, n);
            ASSERT_EQ(d.owner(glob), p);
            ASSERT_EQ(d.local_index(glob), i);
            ASSERT_EQ(d.local_lower_bound(glob, p), i);
          }
        }
        ASSERT_EQ(total, n);
      }
    }
  }
}

TEST(BlockCyclic, SharesEvenlyEvenWhenThereAreMorePartsThanElements) {
  std::int64_t next = 0;
  for (int part = 0; part < 7; ++part) {
    const auto share = even_share(5, 7, part);
    EXPECT_EQ(share.begin, next);
    next = share.end;
  }
  EXPECT_EQ(next, 5);
}

/// The known answers that Salmon et al. publish with their library (Random123, kat_vectors).
TEST(RandomStream, MatchesThePhiloxKnownAnswers) {
  using Block = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, DependsOnSeedNameStepAndId) {
  RandomStream stream(1, "test");
  const std::array<std::uint32_t, 3> first{stream.next_u32(), stream.next_u32(), stream.next_u32()};
  RandomStream again(1, "test");
  for (const auto value : first) EXPECT_EQ(again.next_u32(), value);
  EXPECT_NE(RandomStream(1, "other").next_u32(), first[0]);
  EXPECT_NE(RandomStream(2, "test").next_u32(), first[0]);
  EXPECT_NE(RandomStream(1, "test", 1).next_u32(), first[0]);
  EXPECT_NE(RandomStream(1, "test", 0, 1).next_u32(), first[0]);
}

/// Data sets and initialisations are defined by these bits: runs of years ago must be met again.
TEST(RandomStream, KeepsItsBits) {
  RandomStream stream(1, "test", 2, 3);
  for (const auto value : {0xcfd304c5u, 0x2b48d225u, 0x6600b182u, 0xf847c25cu, 0xd6cb8fcbu, 0x3f8ac402u}) EXPECT_EQ(stream.next_u32(), value);
}

TEST(RandomStream, FillsAsOneByOne) {
  for (const std::size_t taken : {0, 1, 4, 7}) {
    for (const std::size_t n : {0, 1, 3, 15, 16, 17, 100}) {
      RandomStream one(7, "fill", 5, 9), many(7, "fill", 5, 9);
      for (std::size_t i = 0; i < taken; ++i) one.next_u32(), many.next_u32();
      std::vector<std::uint32_t> values(n);
      many.fill(values);
      for (const auto value : values) EXPECT_EQ(value, one.next_u32()) << taken << " taken, " << n << " filled";
      EXPECT_EQ(many.next_u32(), one.next_u32());
    }
  }
}

TEST(RandomStream, HasTheMomentsOfItsDistribution) {
  RandomStream stream(7, "moments");
  double sum = 0, square = 0, fourth = 0;
  constexpr int n = 200000;
  for (int i = 0; i < n; ++i) {
    const double x = stream.normal();
    sum += x, square += x * x, fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / n, 0, 0.01);
  EXPECT_NEAR(square / n, 1, 0.015);
  EXPECT_NEAR(fourth / n, 3, 0.1);
}

TEST(RandomStream, PermutationHoldsEveryIndexOnce) {
  const auto order = random_permutation(1000, RandomStream(3, "order"));
  EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 1000u);
  EXPECT_EQ(order, random_permutation(1000, RandomStream(3, "order")));
  EXPECT_NE(order, random_permutation(1000, RandomStream(3, "order", 1)));
}

TEST(NamedArray, KeepsValuesAndRefusesTheWrongType) {
  const std::array<double, 2> values{1.5, -2};
  const auto array = NamedArray::from<double>("a", {2}, values);
  EXPECT_EQ(array.values<double>()[1], -2);
  EXPECT_THROW(array.values<float>(), InternalError);
  EXPECT_THROW((NamedArray::from<double>("a", {3}, values)), InternalError);
  const std::array arrays{array};
  EXPECT_THROW(find_array(arrays, "b"), EnvironmentError);
}

TEST(TimerTree, NestsByScope) {
  TimerTree timers;
  {
    const auto outer = timers.scope("train");
    for (int i = 0; i < 2; ++i) const auto inner = timers.scope("step");
  }
  const auto phases = timers.phases();
  ASSERT_EQ(phases.size(), 3u);
  EXPECT_EQ(phases[2].name, "train/step");
  EXPECT_EQ(phases[2].calls, 2);
  EXPECT_GE(phases[1].total_s, phases[2].total_s);
}

}  // namespace
}  // namespace grokscope
