// What does a person see with `tail -f` while it trains?
// metrics.csv: one line per record of the table "training", written at once. Its columns are the numbers of
// the first record; metrics.h5 has everything. On resume it is cut back to the commit. Local; lives on the
// root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/record.hpp"
#include "io/durable_file.hpp"

namespace grokscope {

class MetricsCsv {
 public:
  /// Continues the file with its first `committed_bytes`; returns false, having started anew, when it has
  /// fewer.
  bool open(const std::filesystem::path& path, std::int64_t committed_bytes);

  void append(const Record& record);

  /// Makes what was appended survive a power cut and returns the size in bytes.
  std::int64_t sync() const;

 private:
  void write(const std::string& line);

  std::optional<FileDescriptor> file_;
  std::vector<std::string> columns_;
  std::int64_t size_ = 0;
};

}  // namespace grokscope
