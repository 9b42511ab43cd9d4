#include "experiments/03_nanda_progress/phases.hpp"

#include <algorithm>
#include <cmath>

namespace grokscope::nanda {
namespace {

constexpr double kHigh = 0.5, kGone = 0.01;  ///< of the largest test loss

}  // namespace

Phases find_phases(const History& history) {
  Phases phases;
  const auto& evaluations = history.evaluations;
  if (evaluations.empty()) return phases;
  const auto step = [&](std::size_t i) { return static_cast<double>(history.step[i]); };
  if (const auto found = history.observables.find("excluded_loss"); found != history.observables.end()) {
    double lowest = kMissing;
    for (std::size_t i = 0; i < found->second.size(); ++i) {
      if (std::isnan(found->second[i]) || found->second[i] >= lowest) continue;
      lowest = found->second[i];
      phases.memorisation = step(i);
    }
  }
  double largest = 0;
  for (const auto& e : evaluations) largest = std::max(largest, e.test_loss);
  auto last_high = evaluations.size();
  while (last_high > 0 && evaluations[last_high - 1].test_loss < kHigh * largest) --last_high;
  if (last_high == 0 || last_high == evaluations.size()) return phases;  // still high at the end
  phases.circuit_formation = step(last_high - 1);
  for (auto i = last_high; i < evaluations.size() && std::isnan(phases.clean_up); ++i) {
    if (evaluations[i].test_loss <= kGone * largest) phases.clean_up = step(i);
  }
  return phases;
}

}  // namespace grokscope::nanda
