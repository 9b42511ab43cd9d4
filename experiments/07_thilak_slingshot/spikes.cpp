#include "experiments/07_thilak_slingshot/spikes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace grokscope::slingshot {

Spikes find_spikes(std::span<const std::int64_t> step, std::span<const double> loss, const SpikeRule& rule) {
  Spikes spikes;
  std::optional<std::int64_t> last_hit;
  for (std::size_t row = 0; row < loss.size(); ++row) {
    if (!spikes.first_low) {
      if (loss[row] < rule.low) spikes.first_low = row;
      continue;
    }
    if (loss[row] <= rule.high) continue;
    if (!last_hit || step[row] - *last_hit >= rule.refractory) spikes.starts.push_back(row);
    last_hit = step[row];
  }
  return spikes;
}

double share_of_rise(std::span<const std::int64_t> step, std::span<const double> accuracy, const Spikes& spikes,
                     std::int64_t window) {
  const double rise = spikes.first_low ? accuracy.back() - accuracy[*spikes.first_low] : 0;
  if (!(rise > 0)) return std::numeric_limits<double>::quiet_NaN();
  double gained = 0;
  for (std::size_t k = 0; k < spikes.starts.size(); ++k) {
    const auto start = spikes.starts[k], next = k + 1 < spikes.starts.size() ? spikes.starts[k + 1] : step.size();
    auto last = start;
    while (last + 1 < next && step[last + 1] < step[start] + window) ++last;
    gained += accuracy[last] - accuracy[start - 1];
  }
  return gained / rise;
}

double largest_loss(std::span<const std::int64_t> step, std::span<const double> loss, std::size_t from,
                    std::int64_t after_step) {
  double largest = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t row = from; row < loss.size(); ++row) {
    if (step[row] >= after_step) largest = std::isnan(largest) ? loss[row] : std::max(largest, loss[row]);
  }
  return largest;
}

Course course_of(std::span<const double> series, std::size_t from) {
  std::vector<double> there;
  for (std::size_t row = from; row < series.size(); ++row) {
    if (!std::isnan(series[row])) there.push_back(series[row]);
  }
  if (there.empty()) return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  std::sort(there.begin(), there.end());
  return {(there[(there.size() - 1) / 2] + there[there.size() / 2]) / 2, there.back()};
}

}  // namespace grokscope::slingshot
