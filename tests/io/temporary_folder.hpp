// A folder that all ranks of a test share and that vanishes after it, and the error that a piece of work ends
// in.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "comm/communicator.hpp"

namespace grokscope {

class TemporaryFolder {
 public:
  /// Collective over comm.
  explicit TemporaryFolder(const Communicator& comm) : owner_(comm.is_root()) {
    auto name = (std::filesystem::temp_directory_path() / "grokscope-io-XXXXXX").string();
    if (owner_ && ::mkdtemp(name.data()) == nullptr) name.clear();
    path_ = comm.broadcast_text(name);
    require(!path_.empty(), "no temporary folder");
  }

  /// Collective over comm.
  void remove(const Communicator& comm) {
    comm.barrier();
    if (owner_) std::filesystem::remove_all(path_);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  bool owner_;
  std::filesystem::path path_;
};

/// Returns the exit code of the error that `work` throws on all ranks, `done` when it throws none.
/// Collective.
inline ExitCode code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    require(error.on_all_ranks(), "the error is not known to all ranks");
    return error.code();
  }
  return ExitCode::done;
}

}  // namespace grokscope
