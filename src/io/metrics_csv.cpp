#include "io/metrics_csv.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"

namespace grokscope {
namespace {

std::string column_name(const Record& record, const Quantity& quantity) {
  const auto prefix = record.table + "/";
  return quantity.path.starts_with(prefix) ? quantity.path.substr(prefix.size()) : quantity.path;
}

}  // namespace

bool MetricsCsv::open(const std::filesystem::path& path, std::int64_t committed_bytes) {
  file_.emplace(path, O_WRONLY | O_CREAT | O_APPEND);
  const bool whole = static_cast<std::int64_t>(std::filesystem::file_size(path)) >= committed_bytes;
  size_ = whole ? committed_bytes : 0;
  if (::ftruncate(file_->get(), size_) != 0) throw_file_error("cut", path, errno);
  columns_.clear();
  if (size_ > 0) {
    const auto text = read_text(path);
    columns_ = split(std::string_view(text).substr(0, text.find('\n')), ',');
  }
  return whole;
}

void MetricsCsv::append(const Record& record) {
  if (columns_.empty()) {
    columns_ = {"epoch", "step"};
    for (const auto& measurement : record.measurements) {
      if (!measurement.is_vector) columns_.push_back(column_name(record, measurement.quantity));
    }
    write(join(columns_, ",") + "\n");
  }
  auto line = fmt::format("{},{}", record.epoch, record.step);
  for (std::size_t i = 2; i < columns_.size(); ++i) {
    const auto found = std::ranges::find_if(record.measurements, [&](const Measurement& measurement) {
      return !measurement.is_vector && column_name(record, measurement.quantity) == columns_[i];
    });
    line += fmt::format(",{}", found == record.measurements.end() ? kMissing : found->values.front());
  }
  write(line + "\n");
}

void MetricsCsv::write(const std::string& line) {
  file_->write(line);
  size_ += static_cast<std::int64_t>(line.size());
}

std::int64_t MetricsCsv::sync() const {
  file_->sync();
  return size_;
}

}  // namespace grokscope
