#include "io/retention.hpp"

#include <algorithm>

namespace grokscope {

std::vector<std::size_t> surplus_checkpoints(std::span<const std::int64_t> epochs, const Retention& rule) {
  if (rule.keep_last <= 0) return {};
  const auto count = static_cast<std::ptrdiff_t>(epochs.size());
  const std::ptrdiff_t newest = rule.center ? rule.keep_last : std::max(rule.keep_last, rule.keep_around);
  // The first at or after the center: one of those from it on.
  const auto middle = rule.center ? std::ranges::lower_bound(epochs, *rule.center) - epochs.begin() : count;
  std::vector<std::size_t> surplus;
  for (std::ptrdiff_t i = 0; i < count - newest; ++i) {
    const auto epoch = epochs[static_cast<std::size_t>(i)];
    const bool is_multiple = rule.keep_every > 0 && epoch % rule.keep_every == 0;
    const bool is_named = std::ranges::find(rule.keep_epochs, epoch) != rule.keep_epochs.end();
    const bool is_around = rule.center && i >= middle - rule.keep_around && i < middle + rule.keep_around;
    if (!is_multiple && !is_named && !is_around) surplus.push_back(static_cast<std::size_t>(i));
  }
  return surplus;
}

}  // namespace grokscope
