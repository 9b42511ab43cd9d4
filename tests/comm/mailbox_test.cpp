// Do letters arrive, whole and in their order, at ranks that do not wait for them?
#include "comm/mailbox.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace grokscope {
namespace {

TEST(Mailbox, NothingArrivesWhereNothingWasSent) {
  auto comm = Communicator::duplicate(MPI_COMM_WORLD);
  Mailbox mailbox(comm);
  EXPECT_FALSE(mailbox.receive().has_value());
  comm.barrier();
  mailbox.close();
  comm.free();
}

/// Short ones travel eagerly, the long ones by rendezvous.
std::string letter_text(int from, int number) {
  return std::to_string(from) + ":" + std::to_string(number) +
         std::string(number % 5 == 4 ? 200'000 : 0, 'x');
}

TEST(Mailbox, LettersOfEachRankArriveInTheirOrder) {
  auto comm = Communicator::duplicate(MPI_COMM_WORLD);
  Mailbox mailbox(comm);
  constexpr int count = 20;
  for (int k = 0; k < count; ++k) {
    for (int r = 0; r < comm.size(); ++r) mailbox.send(r, letter_text(comm.rank(), k));
  }
  std::map<int, int> received;
  for (int total = 0; total < count * comm.size();) {
    const auto letter = mailbox.receive();
    if (!letter) continue;
    EXPECT_EQ(letter->text, letter_text(letter->from, received[letter->from]++));
    ++total;
  }
  EXPECT_FALSE(mailbox.receive().has_value());
  mailbox.close();
  comm.free();
}

TEST(Mailbox, AnEmptyTextIsALetter) {
  auto comm = Communicator::duplicate(MPI_COMM_WORLD);
  Mailbox mailbox(comm);
  mailbox.send((comm.rank() + 1) % comm.size(), "");
  std::optional<Letter> letter;
  while (!letter) letter = mailbox.receive();
  EXPECT_EQ(letter->text, "");
  EXPECT_EQ(letter->from, (comm.rank() + comm.size() - 1) % comm.size());
  mailbox.close();
  comm.free();
}

}  // namespace
}  // namespace grokscope
