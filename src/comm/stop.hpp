// Do we all stop now?
// Signals and a time limit only raise a local wish; ranks agree on it at fixed points of the program, so that all of them
// stop at the same one.
#pragma once

#include <atomic>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/timer.hpp"
#include "comm/communicator.hpp"

namespace grokscope {

/// Installs handlers for SIGUSR1, SIGUSR2, SIGTERM and SIGINT (Ctrl-C) while it lives (one per process). The first signal
/// is a wish, a second one within the same process ends it at once. The same signal again within two seconds is the same
/// wish: Slurm signals mpirun and the ranks alike, and mpirun then passes on what they already have.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  /// The signal that arrived, 0 when none has.
  static int received();
};

/// A session's wish to stop. Its flag rides in the training reduction; elsewhere poll() is called at tile and chunk
/// boundaries. The time limit is met, not passed: what a stop may still have to wait for, the longest time between two looks
/// at the flag so far, is held in reserve.
class StopFlag {
 public:
  /// `asked_elsewhere` is called at every look at the flag and says why someone outside the communicator wants it to stop, ""
  /// when nobody does.
  explicit StopFlag(std::optional<double> max_time_s = std::nullopt, std::function<std::string()> asked_elsewhere = {})
      : max_time_s_(max_time_s), asked_elsewhere_(std::move(asked_elsewhere)) {}

  /// True when this rank wants to stop: a look at the flag. Local.
  bool wanted() const;
  /// Why this rank wants to stop. Local.
  std::string reason() const;

  /// The reason of the first rank that has one of its own. Collective.
  std::string shared_reason(const Communicator& comm) const;

  /// Records that all ranks agreed (called with the result of the training reduction).
  void set_agreed() { agreed_ = true; }
  bool agreed() const { return agreed_; }

  /// Agrees with the peers and throws StopRequested on every rank when any of them wants to stop. Collective.
  void poll(const Communicator& comm);

  /// The longest time between two looks at the flag so far. Local.
  double reserve_s() const { return reserve_s_; }

 private:
  bool is_out_of_time() const;
  bool has_own_reason() const;

  std::optional<double> max_time_s_;
  std::function<std::string()> asked_elsewhere_;
  mutable std::string elsewhere_;  ///< why, once asked
  Stopwatch watch_;
  mutable std::optional<double> last_look_s_;  ///< none before the first: a start does not come again
  mutable double reserve_s_ = 0;
  bool agreed_ = false;
};

}  // namespace grokscope
