#include "comm/mailbox.hpp"

namespace grokscope {

Mailbox::Mailbox(const Communicator& comm) : comm_(Communicator::duplicate(comm.get())) {}

void Mailbox::send(int rank, std::string text) {
  forget_sent();
  auto& sending = sending_.emplace_back();
  sending.text = std::move(text);
  check_mpi(MPI_Isend(sending.text.data(), mpi_count(static_cast<std::int64_t>(sending.text.size())),
                      MPI_BYTE, rank, 0, comm_.get(), &sending.request),
            "MPI_Isend");
}

std::optional<Letter> Mailbox::receive() {
  forget_sent();
  int arrived = 0;
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status = {};
  check_mpi(MPI_Improbe(MPI_ANY_SOURCE, 0, comm_.get(), &arrived, &message, &status), "MPI_Improbe");
  if (arrived == 0) return std::nullopt;
  int size = 0;
  check_mpi(MPI_Get_count(&status, MPI_BYTE, &size), "MPI_Get_count");
  Letter letter{status.MPI_SOURCE, std::string(static_cast<std::size_t>(size), '\0')};
  check_mpi(MPI_Mrecv(letter.text.data(), size, MPI_BYTE, &message, MPI_STATUS_IGNORE), "MPI_Mrecv");
  return letter;
}

void Mailbox::forget_sent() {
  for (auto it = sending_.begin(); it != sending_.end();) {
    int sent = 0;
    check_mpi(MPI_Test(&it->request, &sent, MPI_STATUS_IGNORE), "MPI_Test");
    it = sent != 0 ? sending_.erase(it) : std::next(it);
  }
}

void Mailbox::close() {
  for (auto& sending : sending_) check_mpi(MPI_Wait(&sending.request, MPI_STATUS_IGNORE), "MPI_Wait");
  sending_.clear();
  comm_.free();
}

}  // namespace grokscope
