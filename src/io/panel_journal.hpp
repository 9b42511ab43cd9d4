// Which panels of an unfinished matrix are on the disk already?
// A matrix of hundreds of gigabytes is written for hours. Beside the unfinished file each rank keeps a list of its panels
// that have reached the disk, so that a run that is killed, and comes to the same matrix again, forms only the others.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/block_cyclic.hpp"
#include "io/durable_file.hpp"

namespace grokscope {

/// The hash of one panel, as it is stored: first row, row after the last, XXH3 of the rows' bytes.
using PanelHash = std::array<std::uint64_t, 3>;

/// Where a rank keeps the journal of a matrix file.
std::filesystem::path journal_of_rank(const std::filesystem::path& matrix, int rank);

class PanelJournal {
 public:
  /// Reads the journal of this rank, if it begins with the line `key` (what the panels belong to); a torn last line does
  /// not count. Local.
  PanelJournal(std::filesystem::path path, std::string key);

  /// True when the file was there and belongs to the same matrix.
  bool is_known() const { return is_known_; }
  /// Forgets what was read and removes the file. Local.
  void discard();
  /// Forgets what was read and starts the file anew. Local.
  void restart();

  /// The hash of a panel that was finished when the journal was read, or nullptr.
  const PanelHash* find(IndexRange rows) const;
  /// Adds a panel that has reached the disk. Local; another thread than that of find() may call it.
  void add(const PanelHash& panel) const;

 private:
  std::filesystem::path path_;
  std::string key_;
  bool is_known_ = false;
  std::vector<PanelHash> finished_;
};

}  // namespace grokscope
