// Is another job already writing here?
// An flock that the kernel drops when its holder dies, however it dies; the file's text names the holder.
#pragma once

#include <filesystem>
#include <optional>

#include "io/durable_file.hpp"

namespace grokscope {

class DirectoryLock {
 public:
  /// Takes the lock `file`, or throws UserError naming who holds it. Local.
  static DirectoryLock acquire(const std::filesystem::path& file);

  /// False on a file system that has no locks: the run goes on, unprotected.
  bool is_effective() const { return effective_; }
  void release() { file_.reset(); }

 private:
  DirectoryLock(FileDescriptor file, bool effective) : file_(std::move(file)), effective_(effective) {}

  std::optional<FileDescriptor> file_;
  bool effective_ = true;
};

}  // namespace grokscope
