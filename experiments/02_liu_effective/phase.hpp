// In which of the four phases did a run end? (Liu et al. 2022, Table 1)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace grokscope::liu {

/// Numbered as in /results.
enum class Phase { comprehension = 1, grokking = 2, memorisation = 3, confusion = 4 };

struct Outcome {
  double train_step = 0;  ///< first step with accuracy >= .9, NaN when there is none
  double test_step = 0;
  double delay = 0;       ///< test_step - train_step; NaN unless both were reached
  Phase phase = Phase::confusion;
};

/// Comprehension: both accuracies reach .9, fewer than 1,000 steps apart (or test first); grokking: test 1,000 steps or
/// more behind training; memorisation: only training gets there; confusion: training does not. The budget is the run's.
Outcome classify(std::span<const std::int64_t> step, std::span<const double> train_acc, std::span<const double> test_acc);

/// Index of the first value at or above `threshold`, or the number of values.
std::size_t first_at_or_above(std::span<const double> values, double threshold);

}  // namespace grokscope::liu
