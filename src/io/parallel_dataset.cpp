#include "io/parallel_dataset.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "io/durable_file.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kLargestWrite = std::int64_t{1} << 30;

/// The descriptors of this process that are open on a file: MPI-IO keeps its own to itself.
std::vector<int> descriptors_of(const fs::path& path) {
  struct stat wanted = {};
  std::vector<int> found;
  if (::stat(path.c_str(), &wanted) != 0) return found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd", ignored)) {
    const int descriptor = std::stoi(entry.path().filename());
    struct stat other = {};
    const bool is_same = ::fstat(descriptor, &other) == 0 && other.st_dev == wanted.st_dev && other.st_ino == wanted.st_ino;
    if (is_same) found.push_back(descriptor);
  }
  return found;
}

/// Turns every later write of this process to an open file into one to memory, which is forgotten.
void divert_writes(const fs::path& path) {
  const int memory = ::memfd_create("refused", MFD_CLOEXEC);
  if (memory < 0) return;
  for (const int descriptor : descriptors_of(path)) ::dup2(memory, descriptor);
  ::close(memory);
}

herr_t close_diverted(hid_t file) {
  divert_writes(hdf5::path_of(file));
  return H5Fclose(file);
}

/// MPI-IO gives up where the system takes a part of the bytes only, and does not say why a write failed: the same bytes once
/// more, past it, are completed, or meet the same refusal.
void write_past(const fs::path& path, std::uint64_t place, std::span<const std::byte> bytes) {
  const FileDescriptor file(path, O_WRONLY);
  while (!bytes.empty()) {
    const auto written = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(place));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_file_error("write", path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    place += static_cast<std::uint64_t>(written);
  }
}

}  // namespace

ParallelDataset::ParallelDataset(const Communicator& comm, fs::path path, const std::string& name)
    : comm_(comm), path_(std::move(path)) {
  // A rank that cannot open the file must be known before the others wait for it inside MPI-IO.
  comm.agree([&] { FileDescriptor(path_, O_RDWR); });
  comm.agree([&] { file_ = hdf5::open_file_in_parallel(path_, comm, close_diverted); });
  comm.agree([&] { dataset_ = hdf5::open_dataset(file_, name); });
}

void ParallelDataset::write_rows(IndexRange rows, DType dtype, std::span<const std::byte> bytes) const {
  const auto row_bytes = static_cast<std::int64_t>(bytes.size()) / std::max<std::int64_t>(1, rows.size());
  // One call of MPI-IO for each gigabyte: its counts have 32 bits, and the system writes no more than 2 GiB at a time.
  const auto height = std::max<std::int64_t>(1, kLargestWrite / std::max<std::int64_t>(1, row_bytes));
  for (auto begin = rows.begin; begin < rows.end; begin += height) {
    const IndexRange piece{begin, std::min(begin + height, rows.end)};
    const auto piece_bytes = bytes.subspan(static_cast<std::size_t>((begin - rows.begin) * row_bytes),
                                           static_cast<std::size_t>(piece.size() * row_bytes));
    try {
      hdf5::write_rows(dataset_, piece, dtype, piece_bytes.data());
    } catch (const EnvironmentError&) {
      write_past(path_, H5Dget_offset(dataset_.get()) + static_cast<std::uint64_t>(begin * row_bytes), piece_bytes);
    }
  }
}

void ParallelDataset::close() {
  comm_.agree([&] { dataset_.close(); });
  comm_.agree([&] { file_.close(); });
}

}  // namespace grokscope
