#include "base/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"

namespace grokscope {

Log Log::speaking(Verbosity verbosity) {
  Log log;
  auto sink = std::make_shared<spdlog::sinks::stdout_color_sink_st>();
  sink->set_pattern("%v");
  log.logger_ = std::make_shared<spdlog::logger>("grokscope", std::move(sink));
  log.logger_->flush_on(spdlog::level::info);
  switch (verbosity) {
    case Verbosity::quiet: log.logger_->sinks().front()->set_level(spdlog::level::warn); break;  // log.txt has it all
    case Verbosity::normal: log.logger_->set_level(spdlog::level::info); break;
    case Verbosity::debug: log.logger_->set_level(spdlog::level::debug); break;
  }
  // A launcher gives its ranks a terminal of their own and passes the bytes on, often to a file.
  const bool launched = std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("SLURM_PROCID") != nullptr;
  log.terminal_ = !launched && ::isatty(STDOUT_FILENO) != 0;
  return log;
}

Log Log::silent() { return Log(); }

void Log::open_file(const std::filesystem::path& path) {
  if (!logger_) return;
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(path.string());
    sink->set_pattern("%Y-%m-%dT%H:%M:%S %l %v");
    logger_->sinks().push_back(std::move(sink));
  } catch (const spdlog::spdlog_ex& error) {
    throw EnvironmentError(fmt::format("cannot write {} ({}), choose another storage.output_dir", path.string(),
                                       error.what()));
  }
}

void Log::write_info(const std::string& text) {
  end_progress();
  if (logger_) logger_->info(text);
}

void Log::write_debug(const std::string& text) {
  if (logger_) logger_->debug(text);
}

void Log::write_warning(const std::string& text) {
  for (auto& warning : warnings_) {
    if (warning.text == text) {
      ++warning.count;
      return;
    }
  }
  warnings_.push_back({text, 1});
  end_progress();
  if (logger_) logger_->warn("warning: {}", text);
}

void Log::progress(const std::string& line) {
  if (!logger_ || !terminal_ || !logger_->sinks().front()->should_log(spdlog::level::info)) return;
  if (progress_open_ && since_progress_.seconds() < 0.2) return;
  since_progress_ = Stopwatch();
  std::fprintf(stdout, "\r\033[K%s", line.c_str());
  std::fflush(stdout);
  progress_open_ = true;
}

void Log::end_progress() {
  if (!progress_open_) return;
  std::fprintf(stdout, "\r\033[K");
  std::fflush(stdout);
  progress_open_ = false;
}

}  // namespace grokscope
