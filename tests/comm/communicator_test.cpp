// Collectives, agreement, repeatable sums.
#include "comm/communicator.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "every_rank_test.hpp"

namespace grokscope {
namespace {

class CommunicatorTest : public EveryRankTest {};

TEST_F(CommunicatorTest, SumsInRankOrder) {
  // A sum whose value depends on the order: 1, 1e16, -1e16, ... in rank order.
  const double mine = comm.rank() % 3 == 0 ? 1.0 : comm.rank() % 3 == 1 ? 1e16 : -1e16;
  double expected = 0;
  for (int r = 0; r < comm.size(); ++r) expected += r % 3 == 0 ? 1.0 : r % 3 == 1 ? 1e16 : -1e16;
  double sum = mine;
  comm.sum_in_rank_order({&sum, 1});
  EXPECT_EQ(sum, expected);
}

TEST_F(CommunicatorTest, SumsSlicesOfAnyLength) {
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{1000}}) {
    std::vector<float> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i + static_cast<std::size_t>(comm.rank()) * 10);
    comm.sum_slices_in_rank_order<float>(values);
    const auto p = static_cast<std::size_t>(comm.size());
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(values[i], static_cast<float>(i * p + 10 * p * (p - 1) / 2));
  }
}

TEST_F(CommunicatorTest, ExchangesUnevenMessages) {
  std::vector<std::vector<double>> send(static_cast<std::size_t>(comm.size()));
  for (int to = 0; to < comm.size(); ++to) {
    send[static_cast<std::size_t>(to)].assign(static_cast<std::size_t>(comm.rank() * to), comm.rank() * 100 + to);
  }
  const auto received = comm.exchange(send);
  for (int from = 0; from < comm.size(); ++from) {
    const auto& message = received[static_cast<std::size_t>(from)];
    ASSERT_EQ(message.size(), static_cast<std::size_t>(from * comm.rank()));
    for (const double value : message) EXPECT_EQ(value, from * 100 + comm.rank());
  }
}

TEST_F(CommunicatorTest, ExchangesLongMessagesInPieces) {
  for (const std::int64_t piece : {1, 3, 7, 1000}) {
    std::vector<std::vector<std::int64_t>> send(static_cast<std::size_t>(comm.size()));
    for (int to = 0; to < comm.size(); ++to) {
      for (std::int64_t k = 0; k < 7 * (to + 1); ++k) send[static_cast<std::size_t>(to)].push_back(1000 * comm.rank() + k);
    }
    const auto received = comm.exchange(send, piece);
    for (int from = 0; from < comm.size(); ++from) {
      const auto& message = received[static_cast<std::size_t>(from)];
      ASSERT_EQ(message.size(), static_cast<std::size_t>(7 * (comm.rank() + 1)));
      for (std::size_t k = 0; k < message.size(); ++k) ASSERT_EQ(message[k], 1000 * from + static_cast<std::int64_t>(k));
    }
  }
}

TEST(MpiCount, ReachesToTheLastInteger) {
  EXPECT_EQ(mpi_count(0), 0);
  EXPECT_EQ(mpi_count(INT32_MAX), INT32_MAX);
  try {
    mpi_count(std::int64_t{1} << 31);
    FAIL() << "one more than MPI can count was accepted";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("2147483648 elements of a message"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("use more ranks"), std::string::npos) << error.what();
  }
  EXPECT_THROW(mpi_count(-1), InternalError);
}

TEST_F(CommunicatorTest, GathersUnevenly) {
  std::vector<std::int64_t> mine(static_cast<std::size_t>(comm.rank()), comm.rank());
  const auto all = comm.all_gather_uneven<std::int64_t>(mine);
  std::size_t next = 0;
  for (int r = 0; r < comm.size(); ++r) {
    for (int k = 0; k < r; ++k) EXPECT_EQ(all[next++], r);
  }
  EXPECT_EQ(next, all.size());
}

TEST_F(CommunicatorTest, AnErrorOnOneRankIsRaisedOnAll) {
  const int culprit = comm.size() - 1;
  try {
    comm.agree([&] {
      if (comm.rank() == culprit) throw EnvironmentError("disk full");
    });
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::environment);
    EXPECT_TRUE(error.on_all_ranks());
    EXPECT_STREQ(error.what(), "disk full");
  }
  comm.agree([] {});
}

TEST_F(CommunicatorTest, SplitsKeepOrder) {
  auto part = comm.split(comm.rank() % 2);
  EXPECT_EQ(part.rank(), comm.rank() / 2);
  part.free();
}

}  // namespace
}  // namespace grokscope
