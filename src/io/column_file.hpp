// How does a table that is no series over training reach the disk?
// study.h5 and reproduce.h5: named columns of numbers or texts that say what they are. Derived like
// metrics.h5: written anew beside the old file and renamed. Local; called by the root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/record.hpp"
#include "io/attributes.hpp"

namespace grokscope {

/// One column [rows]; in a column of numbers a value that does not exist is NaN.
struct FileColumn {
  Quantity quantity;
  std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>> values;
};

/// The columns that a viewer draws on opening the file, by their names in one group.
struct ColumnPlot {
  std::string group;
  std::vector<std::string> signals;
};

/// Writes every column under its path, with long_name, units and definition. Throws EnvironmentError. Local.
void publish_columns(const std::filesystem::path& path, std::span<const FileColumn> columns, const Attributes& root,
                     const ColumnPlot& plot = {});

/// Reads the numbers of a scalar or column; throws EnvironmentError. Local.
std::vector<double> read_numbers(const std::filesystem::path& path, const std::string& dataset);

}  // namespace grokscope
