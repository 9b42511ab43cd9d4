#include "comm/stop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/text.hpp"

namespace grokscope {
namespace {

volatile std::sig_atomic_t received_signal = 0;
constexpr std::array kSignals{SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
std::array<struct sigaction, kSignals.size()> previous_actions;

/// When the first signal came. Written before received_signal, which says that it is there.
timespec received_at;
constexpr double kEcho_s = 2;

bool is_echo(int signal) {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto since_s = static_cast<double>(now.tv_sec - received_at.tv_sec) +
                       1e-9 * static_cast<double>(now.tv_nsec - received_at.tv_nsec);
  return signal == received_signal && since_s < kEcho_s;
}

extern "C" void note_signal(int signal) {
  if (received_signal == 0) {
    ::clock_gettime(CLOCK_MONOTONIC, &received_at);
    received_signal = signal;
  } else if (!is_echo(signal)) {
    std::_Exit(static_cast<int>(ExitCode::requeue));
  }
}

}  // namespace

SignalWatch::SignalWatch() {
  received_signal = 0;
  struct sigaction action = {};
  action.sa_handler = note_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &previous_actions[i]);
}

SignalWatch::~SignalWatch() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &previous_actions[i], nullptr);
}

int SignalWatch::received() { return received_signal; }

bool StopFlag::is_out_of_time() const { return max_time_s_ && watch_.seconds() + reserve_s_ > *max_time_s_; }

bool StopFlag::has_own_reason() const { return !elsewhere_.empty() || SignalWatch::received() != 0 || is_out_of_time(); }

bool StopFlag::wanted() const {
  const double now = watch_.seconds();
  if (last_look_s_) reserve_s_ = std::max(reserve_s_, now - *last_look_s_);
  last_look_s_ = now;
  if (asked_elsewhere_) {
    auto reason = asked_elsewhere_();
    if (!reason.empty()) elsewhere_ = std::move(reason);
  }
  return agreed_ || has_own_reason();
}

std::string StopFlag::reason() const {
  if (const int signal = SignalWatch::received(); signal != 0) return fmt::format("received {}", ::strsignal(signal));
  if (is_out_of_time()) {
    return fmt::format("reached --max-time of {} (less {}, the longest phase that could not be stopped)",
                       format_duration(*max_time_s_), format_duration(reserve_s_));
  }
  return elsewhere_.empty() ? "a peer asked to stop" : elsewhere_;
}

std::string StopFlag::shared_reason(const Communicator& comm) const {
  const std::int64_t mine = has_own_reason() ? 1 : 0;
  const auto all = comm.all_gather<std::int64_t>({&mine, 1});
  const auto first = std::find(all.begin(), all.end(), 1);
  return comm.broadcast_text(reason(), first == all.end() ? 0 : static_cast<int>(first - all.begin()));
}

void StopFlag::poll(const Communicator& comm) {
  if (!comm.any(wanted())) return;
  agreed_ = true;
  throw StopRequested(shared_reason(comm));
}

}  // namespace grokscope
