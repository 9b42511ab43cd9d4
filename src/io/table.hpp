// How do rows become columns, and segments one series?
// Records are rows of tables; files hold columns. A column dataset is [T] or [T,k], NaN where a row has no
// value, and names its table in the attribute `table`; the table's group holds the axes `epoch` and `step`.
// Segments and metrics.h5 have this same layout, so that either can be a source of the other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/record.hpp"
#include "io/hdf5.hpp"

namespace grokscope {

/// The rows since the last commit. Local; lives on the root.
class TableBuffer {
 public:
  /// Adds a row. A record of the same epoch and step as its table's last row joins that row, unless the row
  /// already has one of its columns.
  void append(const Record& record);

  bool is_empty() const { return tables_.empty(); }
  void clear() { tables_.clear(); }
  /// The smallest epoch of any row; the buffer must not be empty.
  std::int64_t first_epoch() const;

  /// Writes every table below `group`; returns what was written, under the paths it was written to.
  std::vector<NamedArray> write(const hdf5::Handle& group) const;

 private:
  struct Column {
    Quantity quantity;
    bool is_vector = false;
    std::map<std::size_t, std::vector<double>> values;  ///< by row
  };
  struct Table {
    std::vector<std::int64_t> epochs;
    std::vector<std::int64_t> steps;
    std::map<std::string, Column> columns;  ///< by path below the tables' root
  };

  static NamedArray to_array(const std::string& path, const Column& column, std::size_t row_count);

  std::map<std::string, Table> tables_;
};

/// Where a column lies: "training" + "train_loss" and "training" + "training/train_loss" are the same.
std::string column_path(const std::string& table, const std::string& quantity_path);

/// A file and the group in it below which tables lie.
struct TableSource {
  std::filesystem::path file;
  std::string group;
};

/// Writes below `destination` the rows of all sources, in their order, and attaches the axes. A vector column
/// is as wide as its widest piece. Memory: one column of one source. Local.
void concatenate_tables(std::span<const TableSource> sources, const hdf5::Handle& destination);

}  // namespace grokscope
