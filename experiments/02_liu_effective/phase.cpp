#include "experiments/02_liu_effective/phase.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace grokscope::liu {
namespace {

constexpr double kReached = 0.9;
constexpr double kLongDelay = 1000;

}  // namespace

std::size_t first_at_or_above(std::span<const double> values, double threshold) {
  const auto found = std::find_if(values.begin(), values.end(), [&](double v) { return v >= threshold; });
  return static_cast<std::size_t>(found - values.begin());
}

Outcome classify(std::span<const std::int64_t> step, std::span<const double> train_acc, std::span<const double> test_acc) {
  const auto step_of = [&](std::span<const double> accuracy) {
    const auto row = first_at_or_above(accuracy, kReached);
    return row < step.size() ? static_cast<double>(step[row]) : std::numeric_limits<double>::quiet_NaN();
  };
  Outcome outcome{step_of(train_acc), step_of(test_acc), 0, Phase::confusion};
  outcome.delay = outcome.test_step - outcome.train_step;
  if (std::isnan(outcome.train_step)) return outcome;
  outcome.phase = std::isnan(outcome.test_step)   ? Phase::memorisation
                  : outcome.delay >= kLongDelay ? Phase::grokking
                                                : Phase::comprehension;
  return outcome;
}

}  // namespace grokscope::liu
