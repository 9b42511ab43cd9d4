#include "base/pace.hpp"

#include <algorithm>

namespace grokscope {

std::optional<double> Pace::remaining(std::int64_t total) const {
  if (seen_.size() < 2 || seen_.back().first == seen_.front().first) return {};
  const auto [now, seconds] = seen_.back();
  const auto middle = seen_.front().first + (now - seen_.front().first) / 2;
  const auto after = std::ranges::upper_bound(seen_, middle, {}, &std::pair<std::int64_t, double>::first);
  const auto [from, from_seconds] = *std::prev(after);
  return (seconds - from_seconds) / static_cast<double>(now - from) * static_cast<double>(std::max<std::int64_t>(0, total - now));
}

}  // namespace grokscope
