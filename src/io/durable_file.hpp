// How does a file get to the disk for good?
// Text and whole files appear by temp + fsync + rename + fsync of the folder, so that a reader, or a power
// cut, meets the old or the new one and never a part. All functions are local and throw EnvironmentError with
// path and reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace grokscope {

/// The system refused a call on a file. Nothing is known of what the file holds.
class DiskError : public EnvironmentError {
 public:
  using EnvironmentError::EnvironmentError;
};

/// Throws "cannot `action` `path` (text of errno), ..." for the errno of the call that just failed: a DiskError, or, for a file
/// that is not there, an EnvironmentError.
[[noreturn]] void throw_file_error(const std::string& action, const std::filesystem::path& path,
                                   int error_number);

/// One POSIX file descriptor.
class FileDescriptor {
 public:
  FileDescriptor(const std::filesystem::path& path, int flags, int permissions = 0666);
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  int get() const { return descriptor_; }
  void write(std::string_view bytes) const;
  /// Reads until `bytes` is full or the file ends; returns how many there were.
  std::size_t read(std::span<char> bytes) const;
  void sync() const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// The name under which a file is written before it is published.
std::filesystem::path temporary_of(const std::filesystem::path& path);

/// Makes the bytes of a file, or the entries of a folder, survive a power cut.
void sync_file(const std::filesystem::path& path);
void sync_folder(const std::filesystem::path& path);

/// Renames `temporary` to `path` after syncing it, and syncs the folder. Replaces what was there.
void publish_file(const std::filesystem::path& temporary, const std::filesystem::path& path);

void write_text_durably(const std::filesystem::path& path, const std::string& text);
std::string read_text(const std::filesystem::path& path);

/// Creates the folder and its parents.
void make_folder(const std::filesystem::path& path);

/// Removes a file or a folder with its content, if it is there.
void remove_path(const std::filesystem::path& path);

/// Renames a file that need not survive a power cut under either name.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);

/// Hashes the bytes of a file.
std::uint64_t hash_file(const std::filesystem::path& path);

}  // namespace grokscope
