#include "io/panel_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace grokscope {

std::filesystem::path journal_of_rank(const std::filesystem::path& matrix, int rank) {
  return fmt::format("{}.journal.{}", matrix.string(), rank);
}

PanelJournal::PanelJournal(std::filesystem::path path, std::string key) : path_(std::move(path)), key_(std::move(key)) {
  if (!std::filesystem::exists(path_)) return;
  std::istringstream lines(read_text(path_));
  std::string line;
  is_known_ = std::getline(lines, line) && line == key_;
  PanelHash panel{};
  std::string end;
  while (is_known_ && lines >> panel[0] >> panel[1] >> panel[2] >> end && end == ".") finished_.push_back(panel);
}

void PanelJournal::discard() {
  finished_.clear();
  remove_path(path_);
}

void PanelJournal::restart() {
  finished_.clear();
  write_text_durably(path_, key_ + "\n");
}

const PanelHash* PanelJournal::find(IndexRange rows) const {
  const auto found = std::ranges::find_if(finished_, [&](const PanelHash& panel) {
    return panel[0] == static_cast<std::uint64_t>(rows.begin) && panel[1] == static_cast<std::uint64_t>(rows.end);
  });
  return found == finished_.end() ? nullptr : &*found;
}

void PanelJournal::add(const PanelHash& panel) const {
  const FileDescriptor file(path_, O_WRONLY | O_APPEND);
  file.write(fmt::format("{} {} {} .\n", panel[0], panel[1], panel[2]));
  file.sync();
}

}  // namespace grokscope
