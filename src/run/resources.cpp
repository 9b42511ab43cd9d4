#include "run/resources.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

namespace grokscope {

namespace fs = std::filesystem;

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

/// The number in a file that holds only one; infinite for "max" or where there is none.
double number_in(const fs::path& file) {
  std::ifstream in(file);
  double value = 0;
  return in >> value ? value : kInfinite;
}

/// The number behind `key` in a file of lines "key number".
double number_of(const fs::path& file, const std::string& key, double otherwise) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with(key + " ") || line.starts_with(key + ":")) return std::atof(line.c_str() + key.size() + 1);
  }
  return otherwise;
}

/// What the files of a cgroup, of either version, leave.
double left_in(const fs::path& cgroup) {
  const bool is_first_version = fs::exists(cgroup / "memory.limit_in_bytes");
  const double limit = number_in(cgroup / (is_first_version ? "memory.limit_in_bytes" : "memory.max"));
  const double used = number_in(cgroup / (is_first_version ? "memory.usage_in_bytes" : "memory.current"));
  if (limit == kInfinite || used == kInfinite) return kInfinite;
  const std::string prefix = is_first_version ? "total_" : "";
  double cached = 0;
  for (const char* kind : {"inactive_file", "active_file"}) {
    cached += number_of(cgroup / "memory.stat", prefix + kind, 0);
  }
  return limit - used + cached;
}

/// The least of what a cgroup and all those around it leave.
double left_in_all(const fs::path& mount, const fs::path& path) {
  double left = left_in(mount);
  auto folder = mount;
  for (const auto& part : path.relative_path()) {
    folder /= part;
    left = std::min(left, left_in(folder));
  }
  return left;
}

}  // namespace

double available_memory_bytes(const fs::path& root) {
  double available = 1024 * number_of(root / "proc/meminfo", "MemAvailable", kInfinite);
  std::ifstream in(root / "proc/self/cgroup");
  std::string line;
  while (std::getline(in, line)) {
    // "0::/path" of version 2, "7:memory:/path" of version 1.
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    const auto mount = root / "sys/fs/cgroup";
    if (controllers.empty()) available = std::min(available, left_in_all(mount, path));
    if (controllers == "memory") available = std::min(available, left_in_all(mount / "memory", path));
  }
  return available;
}

double available_disk_bytes(const fs::path& folder) {
  std::error_code error;
  const auto space = fs::space(folder, error);
  return error ? kInfinite : static_cast<double>(space.available);
}

double used_disk_bytes(const fs::path& folder) {
  double bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    const auto size = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
    if (!gone) bytes += static_cast<double>(size);
  }
  return bytes;
}

}  // namespace grokscope
