#include "io/directory_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.hpp"
#include "base/text.hpp"

namespace grokscope {
namespace {

std::string describe_this_process() {
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  const char* job = std::getenv("SLURM_JOB_ID");
  return fmt::format("process {} on {}{}", ::getpid(), host,
                     job != nullptr ? fmt::format(", job {}", job) : "");
}

}  // namespace

DirectoryLock DirectoryLock::acquire(const std::filesystem::path& file) {
  FileDescriptor descriptor(file, O_RDWR | O_CREAT);
  const bool held = ::flock(descriptor.get(), LOCK_EX | LOCK_NB) == 0;
  if (!held && errno == EWOULDBLOCK) {
    const auto holder = read_text(file);
    throw UserError(
        fmt::format("{} is in use by {} (two jobs would overwrite each other's files), wait for it or "
                    "choose another storage.output_dir",
                    file.parent_path().string(), holder.empty() ? "another process" : trim(holder)));
  }
  if (::ftruncate(descriptor.get(), 0) != 0) throw_file_error("write", file, errno);
  descriptor.write(describe_this_process() + "\n");
  return {std::move(descriptor), held};
}

}  // namespace grokscope
