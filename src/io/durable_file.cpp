#include "io/durable_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/hash.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

/// Makes a call that fails with -1 until no signal interrupts it: network file systems return from it early.
int without_interruption(auto call) {
  int result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

void throw_file_error(const std::string& action, const fs::path& path, int error_number) {
  const auto message = fmt::format(
      "cannot {} {} ({}{}), check permissions and free space or choose another storage.output_dir", action, path.string(),
      std::strerror(error_number), error_number == EFBIG ? ", see ulimit -f" : "");
  if (error_number == ENOENT) throw EnvironmentError(message);
  throw DiskError(message);
}

FileDescriptor::FileDescriptor(const fs::path& path, int flags, int permissions)
    : path_(path), descriptor_(without_interruption([&] { return ::open(path.c_str(), flags | O_CLOEXEC, permissions); })) {
  if (descriptor_ < 0) throw_file_error("open", path, errno);
}

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void FileDescriptor::write(std::string_view bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto count = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_file_error("write", path_, errno);
    done += static_cast<std::size_t>(count);
  }
}

std::size_t FileDescriptor::read(std::span<char> bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto count = ::read(descriptor_, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_file_error("read", path_, errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

void FileDescriptor::sync() const {
  // Some file systems cannot sync a folder (EINVAL); then there is nothing to wait for.
  const int status = without_interruption([&] { return ::fsync(descriptor_); });
  if (status != 0 && errno != EINVAL) throw_file_error("sync", path_, errno);
}

fs::path temporary_of(const fs::path& path) {
  return path.string() + ".tmp";
}

void sync_file(const fs::path& path) {
  FileDescriptor(path, O_RDONLY).sync();
}

void sync_folder(const fs::path& path) {
  FileDescriptor(path, O_RDONLY | O_DIRECTORY).sync();
}

void publish_file(const fs::path& temporary, const fs::path& path) {
  sync_file(temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) throw_file_error("rename to", path, errno);
  sync_folder(path.parent_path());
}

void write_text_durably(const fs::path& path, const std::string& text) {
  const auto temporary = temporary_of(path);
  FileDescriptor(temporary, O_WRONLY | O_CREAT | O_TRUNC).write(text);
  publish_file(temporary, path);
}

std::string read_text(const fs::path& path) {
  const FileDescriptor file(path, O_RDONLY);
  std::string text;
  std::vector<char> block(std::size_t{1} << 16);
  while (const auto count = file.read(block)) text.append(block.data(), count);
  return text;
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw_file_error("create", path, error.value());
}

void remove_path(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) throw_file_error("remove", path, error.value());
}

void rename_path(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_file_error("rename to", to, errno);
}

std::uint64_t hash_file(const fs::path& path) {
  const FileDescriptor file(path, O_RDONLY);
  std::vector<char> block(std::size_t{1} << 22);
  std::uint64_t hash = 0;
  while (const auto count = file.read(block)) hash = hash_bytes(block.data(), count, hash);
  return hash;
}

}  // namespace grokscope
