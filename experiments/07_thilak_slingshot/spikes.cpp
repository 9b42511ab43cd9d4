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
