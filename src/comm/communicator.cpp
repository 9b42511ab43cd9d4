#include "comm/communicator.hpp"

#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <utility>

#include "base/narrow.hpp"

namespace grokscope {

void check_mpi(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw InternalError(fmt::format("{} failed: {}", call, text));
}

int mpi_count(std::int64_t count) {
  return narrow_to_int(count, "elements of a message", "MPI");
}

Communicator::Communicator(MPI_Comm comm) : comm_(comm) {
  check_mpi(MPI_Comm_rank(comm, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(comm, &size_), "MPI_Comm_size");
}

Communicator::Communicator(Communicator&& other) noexcept
    : comm_(std::exchange(other.comm_, MPI_COMM_NULL)), rank_(other.rank_), size_(other.size_) {}

Communicator& Communicator::operator=(Communicator&& other) noexcept {
  std::swap(comm_, other.comm_);
  rank_ = other.rank_;
  size_ = other.size_;
  return *this;
}

Communicator Communicator::duplicate(MPI_Comm comm) {
  MPI_Comm copy = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(comm, &copy), "MPI_Comm_dup");
  check_mpi(MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return Communicator(copy);
}

void Communicator::free() {
  if (comm_ != MPI_COMM_NULL) check_mpi(MPI_Comm_free(&comm_), "MPI_Comm_free");
}

Communicator Communicator::split(int color) const {
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(comm_, color, rank_, &part), "MPI_Comm_split");
  check_mpi(MPI_Comm_set_errhandler(part, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return Communicator(part);
}

void Communicator::barrier() const { check_mpi(MPI_Barrier(comm_), "MPI_Barrier"); }

double Communicator::broadcast_value(double value, int root) const {
  broadcast<double>({&value, 1}, root);
  return value;
}

std::int64_t Communicator::broadcast_value(std::int64_t value, int root) const {
  broadcast<std::int64_t>({&value, 1}, root);
  return value;
}

std::string Communicator::broadcast_text(std::string text, int root) const {
  text.resize(static_cast<std::size_t>(broadcast_value(static_cast<std::int64_t>(text.size()), root)));
  broadcast<std::byte>({reinterpret_cast<std::byte*>(text.data()), text.size()}, root);
  return text;
}

void Communicator::sum_in_rank_order(std::span<double> values) const {
  if (size_ == 1) return;
  const auto all_values = all_gather<double>(values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    double total = 0;
    for (std::size_t r = 0; r < static_cast<std::size_t>(size_); ++r) total += all_values[r * values.size() + i];
    values[i] = total;
  }
}

Communicator::MessageShares Communicator::message_shares(std::int64_t n) const {
  MessageShares shares;
  for (int r = 0; r < size_; ++r) {
    const auto share = even_share(n, size_, r);
    shares.counts.push_back(mpi_count(share.size()));
    shares.offsets.push_back(mpi_count(share.begin));
  }
  return shares;
}

double Communicator::max(double value) const {
  double result = value;
  check_mpi(MPI_Allreduce(&value, &result, 1, MPI_DOUBLE, MPI_MAX, comm_), "MPI_Allreduce");
  return result;
}

double Communicator::min(double value) const { return -max(-value); }

bool Communicator::any(bool value) const {
  int mine = value ? 1 : 0;
  int result = 0;
  check_mpi(MPI_Allreduce(&mine, &result, 1, MPI_INT, MPI_MAX, comm_), "MPI_Allreduce");
  return result != 0;
}

void Communicator::agree(const std::function<void()>& work) const {
  ExitCode code = ExitCode::done;
  std::string message;
  try {
    work();
  } catch (const Error& error) {
    code = error.code();
    message = error.what();
  } catch (const std::filesystem::filesystem_error& error) {
    code = ExitCode::environment;
    message = error.what();
  } catch (const std::exception& error) {
    code = ExitCode::internal;
    message = error.what();
  }
  if (!any(code != ExitCode::done)) return;
  const std::int64_t mine = static_cast<int>(code);
  const auto codes = all_gather<std::int64_t>({&mine, 1});
  int first = 0;
  while (codes[static_cast<std::size_t>(first)] == 0) ++first;
  throw_error(static_cast<ExitCode>(codes[static_cast<std::size_t>(first)]), broadcast_text(message, first), true);
}

}  // namespace grokscope
