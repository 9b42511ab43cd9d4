// How long will the rest take, when some steps cost far more than others?
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace grokscope {

/// Extrapolates the later half of what was done since the start: where a run measures ever more rarely, its first steps would
/// promise hours that never come.
class Pace {
 public:
  /// After `step` steps `seconds` are over. Both ascend.
  void add(std::int64_t step, double seconds) { seen_.emplace_back(step, seconds); }

  /// Seconds from the last step seen to step `total`; nothing before two steps were seen.
  std::optional<double> remaining(std::int64_t total) const;

 private:
  std::vector<std::pair<std::int64_t, double>> seen_;
};

}  // namespace grokscope
