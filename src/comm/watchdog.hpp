// Has this rank fallen silent?
// A rank whose peer hangs waits in MPI for ever, and an allocation is paid for until its end. A thread of every rank looks
// whether the rank still shows signs of life; it speaks no MPI, for that is what may hang.
#pragma once

#include <condition_variable>
#include <ctime>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace grokscope {

struct WatchdogOptions {
  int rank = 0;
  double limit_s = 0;  ///< of silence
  double grace_s = 5;  ///< that ranks other than the root leave it to speak before they end the job
};

class Watchdog {
 public:
  /// After `limit_s` of silence prints rank, host, what the rank is at and since when to stderr, hands the same line to
  /// `last_words`, which runs on the watching thread and must not use MPI, and ends the process with code 3; the launcher
  /// then ends the others. Time in which the whole process slept (a suspended job) does not count. Local.
  Watchdog(WatchdogOptions options, std::function<void(const std::string& line)> last_words);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// A sign of life: the rank is now at `phase`. Local.
  void note(const std::string& phase);
  /// A sign of life within the same phase. Local.
  void note();

 private:
  void watch(const std::stop_token& stop);
  void end_job();

  WatchdogOptions options_;
  std::function<void(const std::string& line)> last_words_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string phase_ = "start";
  std::time_t since_ = std::time(nullptr);
  double silent_s_ = 0;
  std::jthread thread_;  ///< last: it uses the others
};

}  // namespace grokscope
