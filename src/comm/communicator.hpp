// Who are my peers, and how do we agree?
// Every collective is checked; sums are made in rank order, so that they repeat bit by bit. A Communicator never frees
// itself in a destructor (MPI may be gone by then, or peers may be elsewhere): call free() collectively, or let it live.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/block_cyclic.hpp"
#include "base/error.hpp"

namespace grokscope {

/// Throws InternalError when an MPI call failed.
void check_mpi(int status, const char* call);

template <class T>
MPI_Datatype mpi_type() {
  if constexpr (std::is_same_v<T, float>) return MPI_FLOAT;
  if constexpr (std::is_same_v<T, double>) return MPI_DOUBLE;
  if constexpr (std::is_same_v<T, int>) return MPI_INT;
  if constexpr (std::is_same_v<T, std::int64_t>) return MPI_INT64_T;
  if constexpr (std::is_same_v<T, std::uint64_t>) return MPI_UINT64_T;
  if constexpr (std::is_same_v<T, std::uint8_t>) return MPI_UINT8_T;
  if constexpr (std::is_same_v<T, std::byte>) return MPI_BYTE;
}

/// Narrows a count for MPI's int interface; throws UserError when it does not fit.
int mpi_count(std::int64_t count);

class Communicator {
 public:
  /// Duplicates `comm` so that our messages meet nobody else's. Collective over `comm`.
  static Communicator duplicate(MPI_Comm comm);

  Communicator(Communicator&& other) noexcept;
  Communicator& operator=(Communicator&& other) noexcept;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  ~Communicator() = default;

  /// Collective.
  void free();

  MPI_Comm get() const { return comm_; }
  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_root() const { return rank_ == 0; }

  /// Splits by color; ranks keep their order. Collective.
  Communicator split(int color) const;

  void barrier() const;

  template <class T>
  void broadcast(std::span<T> values, int root = 0) const {
    constexpr std::int64_t kChunk = std::int64_t{1} << 28;
    const auto n = static_cast<std::int64_t>(values.size());
    for (std::int64_t begin = 0; begin < n; begin += kChunk) {
      const int count = mpi_count(std::min(kChunk, n - begin));
      check_mpi(MPI_Bcast(values.data() + begin, count, mpi_type<T>(), root, comm_), "MPI_Bcast");
    }
  }
  /// Returns the root's value on every rank. Collective.
  double broadcast_value(double value, int root = 0) const;
  std::int64_t broadcast_value(std::int64_t value, int root = 0) const;
  std::string broadcast_text(std::string text, int root = 0) const;

  /// Returns the values of all ranks, concatenated in rank order; every rank gives equally many. Collective.
  template <class T>
  std::vector<T> all_gather(std::span<const T> mine) const {
    std::vector<T> all(mine.size() * static_cast<std::size_t>(size_));
    const int count = mpi_count(static_cast<std::int64_t>(mine.size()));
    check_mpi(MPI_Allgather(mine.data(), count, mpi_type<T>(), all.data(), count, mpi_type<T>(), comm_),
              "MPI_Allgather");
    return all;
  }
  /// The same with a different count on each rank. Collective.
  template <class T>
  std::vector<T> all_gather_uneven(std::span<const T> mine) const {
    const std::int64_t my_count = static_cast<std::int64_t>(mine.size());
    const auto counts64 = all_gather<std::int64_t>({&my_count, 1});
    std::vector<int> counts(counts64.size());
    std::vector<int> offsets(counts64.size());
    std::int64_t total = 0;
    for (std::size_t r = 0; r < counts.size(); ++r) {
      counts[r] = mpi_count(counts64[r]);
      offsets[r] = mpi_count(total);
      total += counts64[r];
    }
    std::vector<T> all(static_cast<std::size_t>(total));
    check_mpi(MPI_Allgatherv(mine.data(), mpi_count(my_count), mpi_type<T>(), all.data(), counts.data(),
                             offsets.data(), mpi_type<T>(), comm_), "MPI_Allgatherv");
    return all;
  }

  /// Returns the values of all ranks, concatenated in rank order, on the root, an empty vector elsewhere; every rank knows
  /// how many each of them gives. Collective.
  template <class T>
  std::vector<T> gather(std::span<const T> mine, std::span<const std::int64_t> all_counts, int root = 0) const {
    std::vector<int> counts, offsets;
    std::int64_t total = 0;
    for (const auto count : all_counts) {
      counts.push_back(mpi_count(count));
      offsets.push_back(mpi_count(total));
      total += count;
    }
    std::vector<T> all(rank_ == root ? static_cast<std::size_t>(total) : 0);
    check_mpi(MPI_Gatherv(mine.data(), mpi_count(static_cast<std::int64_t>(mine.size())), mpi_type<T>(), all.data(),
                          counts.data(), offsets.data(), mpi_type<T>(), root, comm_), "MPI_Gatherv");
    return all;
  }

  /// Sends send[r] to rank r, returns what each rank sent to this one. Messages of any length: they go in pieces of at most
  /// `piece` elements, for MPI counts in 32 bits. Collective.
  template <class T>
  std::vector<std::vector<T>> exchange(const std::vector<std::vector<T>>& send, std::int64_t piece = kLargestPiece) const;
  static constexpr std::int64_t kLargestPiece = std::int64_t{1} << 28;

  /// Replaces `values` by their sum over ranks, added in rank order: the same bits on every rank and in every run with
  /// this rank count. Meant for short vectors (all of them meet on every rank). Collective.
  void sum_in_rank_order(std::span<double> values) const;

  /// Sums long vectors over ranks: slices are exchanged, summed in rank order in float64, rounded once and gathered.
  /// Memory: one more copy of `values`. Collective.
  template <class T>
  void sum_slices_in_rank_order(std::span<T> values) const;

  /// The same sum, but rank r gets only its slice, even_share(n, size, r). Collective.
  template <class T>
  std::vector<T> sum_and_scatter(std::span<const T> values) const;

  double max(double value) const;
  double min(double value) const;
  bool any(bool value) const;
  bool all(bool value) const { return !any(!value); }

  /// Runs `work` on this rank and then agrees: when it failed anywhere, every rank throws the error of the lowest failing
  /// rank, marked as known to all. Use it around anything that may fail on some ranks only (files!). Collective.
  void agree(const std::function<void()>& work) const;

  /// Runs `work` on the root only, with the agreement of agree(). Collective.
  void on_root(const std::function<void()>& work) const {
    agree([&] { if (is_root()) work(); });
  }

 private:
  explicit Communicator(MPI_Comm comm);

  /// even_share() of n elements for every rank, in MPI's types.
  struct MessageShares {
    std::vector<int> counts;
    std::vector<int> offsets;
  };
  MessageShares message_shares(std::int64_t n) const;

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
};

template <class T>
std::vector<std::vector<T>> Communicator::exchange(const std::vector<std::vector<T>>& send, std::int64_t piece) const {
  require(static_cast<int>(send.size()) == size_, "exchange needs one message per rank");
  std::vector<std::int64_t> send_sizes(send.size());
  for (std::size_t r = 0; r < send.size(); ++r) send_sizes[r] = static_cast<std::int64_t>(send[r].size());
  std::vector<std::int64_t> receive_sizes(send.size());
  check_mpi(MPI_Alltoall(send_sizes.data(), 1, MPI_INT64_T, receive_sizes.data(), 1, MPI_INT64_T, comm_),
            "MPI_Alltoall");
  // Point to point rather than MPI_Alltoallv: no packing, and no sum of messages that must fit 32 bits. Pieces between two
  // ranks arrive in the order in which they were sent.
  std::vector<std::vector<T>> received(send.size());
  std::vector<MPI_Request> requests;
  const auto in_pieces = [&](auto& message, auto start) {
    const auto size = static_cast<std::int64_t>(message.size());
    for (std::int64_t begin = 0; begin < size; begin += piece) {
      start(message.data() + begin, mpi_count(std::min(piece, size - begin)), &requests.emplace_back());
    }
  };
  for (int shift = 1; shift < size_; ++shift) {
    const int from = (rank_ - shift + size_) % size_;
    auto& buffer = received[static_cast<std::size_t>(from)];
    buffer.resize(static_cast<std::size_t>(receive_sizes[static_cast<std::size_t>(from)]));
    in_pieces(buffer, [&](T* data, int count, MPI_Request* request) {
      check_mpi(MPI_Irecv(data, count, mpi_type<T>(), from, 17, comm_, request), "MPI_Irecv");
    });
  }
  for (int shift = 1; shift < size_; ++shift) {
    const int to = (rank_ + shift) % size_;
    in_pieces(send[static_cast<std::size_t>(to)], [&](const T* data, int count, MPI_Request* request) {
      check_mpi(MPI_Isend(data, count, mpi_type<T>(), to, 17, comm_, request), "MPI_Isend");
    });
  }
  received[static_cast<std::size_t>(rank_)] = send[static_cast<std::size_t>(rank_)];
  check_mpi(MPI_Waitall(mpi_count(static_cast<std::int64_t>(requests.size())), requests.data(), MPI_STATUSES_IGNORE),
            "MPI_Waitall");
  return received;
}

template <class T>
std::vector<T> Communicator::sum_and_scatter(std::span<const T> values) const {
  if (size_ == 1) return {values.begin(), values.end()};
  const auto shares = message_shares(static_cast<std::int64_t>(values.size()));
  const auto mine = static_cast<std::size_t>(shares.counts[static_cast<std::size_t>(rank_)]);
  std::vector<T> slices(mine * static_cast<std::size_t>(size_));
  std::vector<int> slice_counts(shares.counts.size(), static_cast<int>(mine));
  std::vector<int> slice_offsets(shares.counts.size());
  for (std::size_t r = 0; r < slice_offsets.size(); ++r) slice_offsets[r] = mpi_count(static_cast<std::int64_t>(r * mine));
  check_mpi(MPI_Alltoallv(values.data(), shares.counts.data(), shares.offsets.data(), mpi_type<T>(), slices.data(),
                          slice_counts.data(), slice_offsets.data(), mpi_type<T>(), comm_), "MPI_Alltoallv");
  std::vector<T> sum(mine);
  for (std::size_t i = 0; i < mine; ++i) {
    double total = 0;
    for (std::size_t r = 0; r < static_cast<std::size_t>(size_); ++r) total += static_cast<double>(slices[r * mine + i]);
    sum[i] = static_cast<T>(total);
  }
  return sum;
}

template <class T>
void Communicator::sum_slices_in_rank_order(std::span<T> values) const {
  if (size_ == 1) return;
  const auto shares = message_shares(static_cast<std::int64_t>(values.size()));
  const auto sum = sum_and_scatter<T>(values);
  check_mpi(MPI_Allgatherv(sum.data(), mpi_count(static_cast<std::int64_t>(sum.size())), mpi_type<T>(), values.data(),
                           shares.counts.data(), shares.offsets.data(), mpi_type<T>(), comm_), "MPI_Allgatherv");
}

}  // namespace grokscope
