// Messages at the edge of what MPI counts in 32 bits: one element more goes in pieces, or is refused on every rank.
// Bytes are the cheapest elements: 2 to 3 GB a rank. Not among the fast tests.
#include <gtest/gtest.h>

#include <string>

#include "comm/communicator.hpp"
#include "every_rank_test.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kBeyond = (std::int64_t{1} << 31) + 5;

class LargeCountsTest : public EveryRankTest {
 protected:
  using Bytes = std::vector<std::uint8_t>;

  /// Differs from place to place, and between places that lie 2^28 (a piece), 2^31 or 2^32 apart.
  static std::uint8_t byte_at(std::int64_t place) { return static_cast<std::uint8_t>((place * 2654435761LL >> 13) + (place >> 28)); }

  static Bytes pattern(std::int64_t size) {
    Bytes bytes(static_cast<std::size_t>(size));
    for (std::int64_t k = 0; k < size; ++k) bytes[static_cast<std::size_t>(k)] = byte_at(k);
    return bytes;
  }
  static void expect_pattern(const Bytes& bytes) {
    for (std::int64_t k = 0; k < static_cast<std::int64_t>(bytes.size()); ++k) ASSERT_EQ(bytes[static_cast<std::size_t>(k)], byte_at(k)) << k;
  }
};

TEST_F(LargeCountsTest, AMessageGoesInPieces) {
  std::vector<Bytes> send(static_cast<std::size_t>(comm.size()));
  if (comm.is_root()) send.back() = pattern(kBeyond);
  const auto received = comm.exchange(send);
  if (comm.rank() != comm.size() - 1) return;
  ASSERT_EQ(static_cast<std::int64_t>(received.front().size()), kBeyond);
  expect_pattern(received.front());
}

TEST_F(LargeCountsTest, ABroadcastGoesInPieces) {
  auto bytes = comm.is_root() ? pattern(kBeyond) : Bytes(static_cast<std::size_t>(kBeyond));
  comm.broadcast<std::uint8_t>(bytes);
  expect_pattern(bytes);
}

TEST_F(LargeCountsTest, WhatMpiCannotCountIsRefusedOnEveryRank) {
  // Each count fits; together, as the place of whatever would come behind them, they do not.
  const Bytes mine(static_cast<std::size_t>((kBeyond + 1) / 2), 7);
  const std::int64_t last = comm.rank() == comm.size() - 1 ? 1 : static_cast<std::int64_t>(mine.size());
  try {
    comm.all_gather_uneven<std::uint8_t>({mine.data(), static_cast<std::size_t>(last)});
    FAIL() << "more was accepted than MPI can count";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("elements of a message"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("use more ranks"), std::string::npos) << error.what();
  }
  comm.barrier();  // nobody waits in the collective that was refused
}

}  // namespace
}  // namespace grokscope
