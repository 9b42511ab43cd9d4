// How do all ranks write into one dataset, and all leave when a disk refuses one of them?
// Through MPI-IO, with no metadata: rows of a contiguous dataset that one rank has created before. HDF5 cannot close such a file
// once a write has failed (it crashes, or waits for other ranks for ever), so that it never sees the last of it: what was
// written is flushed first, and what the closing still wants to write goes nowhere.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "comm/communicator.hpp"
#include "io/hdf5.hpp"

namespace grokscope {

class ParallelDataset {
 public:
  /// Opens `name` in an existing file. `comm` must outlive this. Throws the same EnvironmentError on all ranks. Collective over
  /// comm.
  ParallelDataset(const Communicator& comm, std::filesystem::path path, const std::string& name);
  /// Abandons the file unless it was closed; all ranks must leave by the same error.
  ~ParallelDataset() = default;
  ParallelDataset(ParallelDataset&&) = delete;

  /// Writes whole rows; `bytes` holds them row-major in `dtype`, which is that of the dataset. Throws EnvironmentError. Local:
  /// whole rows are one stretch of bytes, and MPI-IO's collective buffering has nothing to add.
  void write_rows(IndexRange rows, DType dtype, std::span<const std::byte> bytes) const;

  /// Hands everything to the disk and closes the file. No other descriptor of this process may be open on it. Throws the same
  /// EnvironmentError on all ranks. Collective over comm.
  void close();

 private:
  const Communicator& comm_;
  std::filesystem::path path_;
  hdf5::Handle file_;
  hdf5::Handle dataset_;
};

}  // namespace grokscope
