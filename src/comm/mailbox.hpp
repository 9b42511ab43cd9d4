// How do ranks that are busy with different things tell each other something?
// Short texts, sent and picked up without waiting: groups that train different members of a study never meet
// in a collective. Nothing arrives unless the receiver looks.
#pragma once

#include <list>
#include <optional>
#include <string>

#include "comm/communicator.hpp"

namespace grokscope {

struct Letter {
  int from = 0;
  std::string text;
};

class Mailbox {
 public:
  /// Collective over comm.
  explicit Mailbox(const Communicator& comm);
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Returns at once; letters from one rank to another arrive in their order. Local.
  void send(int rank, std::string text);

  /// Returns the next letter that has arrived, or nothing. Local.
  std::optional<Letter> receive();

  /// Waits until everything sent here has been taken. All letters must be received before. Collective over
  /// comm.
  void close();

 private:
  struct Sending {
    std::string text;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  void forget_sent();

  Communicator comm_;
  std::list<Sending> sending_;  ///< a list: MPI reads the texts where they are
};

}  // namespace grokscope
