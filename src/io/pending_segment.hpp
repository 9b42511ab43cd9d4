// What has been measured since the last commit?
// Collects arrays in a segment file under a temporary name and, at the commit, adds the tables, closes,
// syncs, verifies and publishes it. Matrices of their own files are linked from it. Local; lives on the root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/checkpoint.hpp"
#include "io/hdf5.hpp"
#include "io/table.hpp"
#include "io/views.hpp"

namespace grokscope {

/// The group of a segment below which it has the layout of metrics.h5.
inline constexpr const char* kSegmentTables = "/metrics";

/// What a commit adds.
struct FinishedSegment {
  std::vector<CommittedFile> files;
  std::vector<EpochLink> links;
};

class PendingSegment {
 public:
  explicit PendingSegment(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Writes one array into /`view`/`group`.
  void write(const std::string& view, const std::string& group, const NamedArray& array,
             const Attributes& attributes, int gzip_level);
  void set_attributes(const std::string& view, const std::string& group, const Attributes& attributes);

  /// Returns a free file name for a matrix.
  std::string name_matrix_file(const std::string& view, const std::string& group,
                               const std::string& name) const;
  /// Links a finished matrix file as /`view`/`group`/`name`.
  void add_matrix(const std::string& view, const std::string& group, const std::string& name,
                  const CommittedFile& file);

  /// Makes /`view`/`group`/`name` a link to /`target`.
  void link(const std::string& view, const std::string& group, const std::string& name,
            const std::string& target);

  /// Publishes what was collected together with `rows`, and starts anew. No file is made when there is
  /// nothing.
  FinishedSegment finish(const TableBuffer& rows, std::int64_t last_epoch);

  /// Drops what was collected.
  void discard();

 private:
  struct Written {
    std::string path;
    std::uint64_t hash = 0;
  };

  std::filesystem::path temporary() const { return folder_ / "pending.tmp"; }
  hdf5::Handle open_view_group(const std::string& view, const std::string& group);
  void remember(const std::string& path, const NamedArray& array);
  void verify() const;

  std::filesystem::path folder_;
  hdf5::Handle file_;
  std::vector<Written> written_;
  std::vector<CommittedFile> matrices_;
};

/// Lists the epoch groups of a segment. Local.
std::vector<EpochLink> list_epoch_links(const std::filesystem::path& segment);

}  // namespace grokscope
