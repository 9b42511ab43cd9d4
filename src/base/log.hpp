// Who tells the user what is happening?
// A session owns one Log. Rank 0 writes to the terminal and log.txt; other ranks keep their warnings, which the session
// merges at the end. Knows nothing of MPI.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/timer.hpp"

namespace spdlog {
class logger;
}

namespace grokscope {

enum class Verbosity { quiet, normal, debug };

class Log {
 public:
  /// A speaking log writes to the terminal (quiet: warnings only) and to its file; a silent one (ranks other than 0, tests) only keeps its warnings.
  static Log speaking(Verbosity verbosity = Verbosity::normal);
  static Log silent();

  /// Appends to a file from now on (rank 0 of a session).
  void open_file(const std::filesystem::path& path);

  template <class... Args>
  void info(fmt::format_string<Args...> text, Args&&... args) {
    write_info(fmt::format(text, std::forward<Args>(args)...));
  }
  template <class... Args>
  void debug(fmt::format_string<Args...> text, Args&&... args) {
    write_debug(fmt::format(text, std::forward<Args>(args)...));
  }
  /// Warns; the same text is shown once and counted after that.
  template <class... Args>
  void warn(fmt::format_string<Args...> text, Args&&... args) {
    write_warning(fmt::format(text, std::forward<Args>(args)...));
  }

  /// Progress for a person at a terminal: overwritten in place there a few times a second, absent from files.
  void progress(const std::string& line);
  void end_progress();

  struct Warning {
    std::string text;
    int count = 0;
  };
  const std::vector<Warning>& warnings() const { return warnings_; }

 private:
  Log() = default;
  void write_info(const std::string& text);
  void write_debug(const std::string& text);
  void write_warning(const std::string& text);

  std::shared_ptr<spdlog::logger> logger_;
  std::vector<Warning> warnings_;
  bool terminal_ = false;
  bool progress_open_ = false;
  Stopwatch since_progress_;
};

}  // namespace grokscope
