// Is there enough memory and disk left to go on?
// Looked at before a kernel kills the rank or a write fails: then a run can still commit and say why it stops.
#pragma once

#include <filesystem>

namespace grokscope {

/// Bytes that this process may still take before something ends it: what the node has available, or what is left below the
/// limit of any cgroup that it is in (a batch system's), whichever is less; files in memory count as available. Infinite where
/// nothing can be read. `root`: where proc/ and sys/ are. Local.
double available_memory_bytes(const std::filesystem::path& root = "/");

/// Bytes that may still be written below `folder`; infinite where the file system does not say. Local.
double available_disk_bytes(const std::filesystem::path& folder);

/// Bytes of all files below `folder`. Local.
double used_disk_bytes(const std::filesystem::path& folder);

}  // namespace grokscope
