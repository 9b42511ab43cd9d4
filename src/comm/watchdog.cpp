#include "comm/watchdog.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/timer.hpp"

namespace grokscope {
namespace {

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

Watchdog::Watchdog(WatchdogOptions options, std::function<void(const std::string& line)> last_words)
    : options_(options), last_words_(std::move(last_words)) {
  if (options_.limit_s > 0) thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

Watchdog::~Watchdog() = default;

void Watchdog::note(const std::string& phase) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  since_ = std::time(nullptr);
  silent_s_ = 0;
}

void Watchdog::note() {
  const std::lock_guard lock(mutex_);
  since_ = std::time(nullptr);
  silent_s_ = 0;
}

void Watchdog::watch(const std::stop_token& stop) {
  const double tick_s = std::min(1.0, options_.limit_s / 4);
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const Stopwatch slept;
    changed_.wait_for(lock, stop, std::chrono::duration<double>(tick_s), [] { return false; });
    silent_s_ = slept.seconds() > 2 * tick_s ? 0 : silent_s_ + slept.seconds();  // or all of it slept, a suspended job
    if (silent_s_ > options_.limit_s && !stop.stop_requested()) end_job();
  }
}

/// Called with the mutex held, which the silent rank may wait for: it is beyond that.
void Watchdog::end_job() {
  const auto line = fmt::format(
      "rank {} on {} has been silent for {} at {} since {:%Y-%m-%dT%H:%M:%SZ} (a rank that does not say the same, or nothing, hangs "
      "or has died), look at its node, run the same command again, or raise computational_limits.max_silence_s where this "
      "phase is only long",
      options_.rank, host_name(), format_duration(silent_s_), phase_.empty() ? "its begin" : phase_, fmt::gmtime(since_));
  std::fprintf(stderr, "grokscope: %s\n", line.c_str());
  std::fflush(stderr);
  if (options_.rank != 0) std::this_thread::sleep_for(std::chrono::duration<double>(options_.grace_s));
  last_words_(line);
  std::_Exit(static_cast<int>(ExitCode::environment));
}

}  // namespace grokscope
