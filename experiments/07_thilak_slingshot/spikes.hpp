// How often does the training loss jump after it was as good as zero?
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace grokscope::slingshot {

struct SpikeRule {
  double low = 1e-6;              ///< spikes count from the first loss below this
  double high = 0.1;              ///< a loss above this is a hit
  std::int64_t refractory = 100;  ///< a hit fewer steps behind the last hit belongs to the same spike: the loss rings
};

struct Spikes {
  std::optional<std::size_t> first_low;  ///< row of the first loss below `low`
  std::vector<std::size_t> starts;       ///< rows of the first hit of every spike
};

/// Finds the spikes of a series; rows are positions in `step` and `loss`.
Spikes find_spikes(std::span<const std::int64_t> step, std::span<const double> loss, const SpikeRule& rule = {});

/// How much of what `accuracy` rises by, from the first tiny loss to the end, it rises by at the spikes: from the row before each
/// to the last one less than `window` steps behind its start and before the next spike. NaN when it does not rise.
double share_of_rise(std::span<const std::int64_t> step, std::span<const double> accuracy, const Spikes& spikes,
                     std::int64_t window);

/// Largest loss in the rows from `from` on whose step is `after_step` or later; NaN when there is none.
double largest_loss(std::span<const std::int64_t> step, std::span<const double> loss, std::size_t from,
                    std::int64_t after_step);

/// What a series does in the rows from `from` on: the middle and the largest of its numbers, NaN when there are none.
struct Course {
  double median, largest;
};
Course course_of(std::span<const double> series, std::size_t from);

}  // namespace grokscope::slingshot
