// At which moments is something measured?
// A pure function of the configuration and of what was evaluated; never of a clock. The adaptive kind remembers the
// weights of the last evaluations, so that what led up to a jump can be measured after it was noticed.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/named_array.hpp"
#include "base/schema.hpp"
#include "train/moment.hpp"

namespace grokscope {

struct ScheduleOptions {
  std::string kind = "every";
  std::string unit = "epoch";
  std::int64_t every = 10;             ///< every
  std::int64_t points = 200;           ///< log
  std::vector<std::int64_t> at;        ///< list
  std::int64_t base = 100;             ///< adaptive: between jumps
  std::int64_t dense = 10;             ///< adaptive: while test accuracy moves
  double threshold = 0.02;             ///< adaptive: change of test accuracy between evaluations that counts as moving
  std::int64_t lookback = 0;           ///< adaptive: evaluations whose weights are kept
  void declare(Schema& s);
};

/// Stands for "no evaluation yet" in a checkpoint: no accuracy is negative.
inline constexpr double kMissingAccuracy = -1;

class Schedule {
 public:
  /// `last` is the final moment in the schedule's unit (log schedules are spread up to it).
  Schedule(ScheduleOptions options, std::int64_t last);

  bool due(const Moment& now) const;

  /// Number of moments in a run of that length; an upper bound for the adaptive kind.
  std::int64_t count() const;

  /// A moment whose weights are kept.
  struct Kept {
    Moment moment;
    Evaluation evaluation;
    std::vector<double> state;
  };
  /// Tells the adaptive schedule what was evaluated. `keep` copies the present weights and is called only when they are
  /// wanted. Returns, oldest first, the kept moments after `last_measured` that must be measured now.
  std::vector<Kept> observe(const Moment& now, const Evaluation& evaluation, std::int64_t last_measured_step,
                            const std::function<std::vector<double>()>& keep);

  std::vector<NamedArray> state(const std::string& prefix) const;
  void load(std::span<const NamedArray> arrays, const std::string& prefix);

 private:
  std::int64_t position(const Moment& now) const { return options_.unit == "epoch" ? now.epoch : now.step; }

  ScheduleOptions options_;
  std::int64_t last_;
  std::vector<std::int64_t> points_;  ///< log and list: sorted
  std::optional<double> previous_acc_;
  bool moving_ = false;
  std::deque<Kept> kept_;
};

}  // namespace grokscope
