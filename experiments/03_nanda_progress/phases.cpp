#include "experiments/03_nanda_progress/phases.hpp"

#include <algorithm>
#include <cmath>
#include <span>

namespace grokscope::nanda {
namespace {

constexpr double kSolved = 0.1;  ///< a loss at which a task counts as solved, here as in the claims
constexpr double kGone = 0.01;   ///< of the largest test loss

/// The observations of one name, row by row of the history; empty where there are none.
std::span<const double> observed(const History& history, const char* name) {
  const auto found = history.observables.find(name);
  return found == history.observables.end() ? std::span<const double>{} : std::span<const double>{found->second};
}

}  // namespace

Phases find_phases(const History& history) {
  Phases phases;
  const auto step = [&](std::size_t row) { return static_cast<double>(history.step[row]); };
  double lowest = kMissing;
  const auto excluded = observed(history, "excluded_loss");
  for (std::size_t row = 0; row < excluded.size(); ++row) {
    if (std::isnan(excluded[row]) || excluded[row] >= lowest) continue;
    lowest = excluded[row];
    phases.memorisation = step(row);
  }
  const auto restricted = observed(history, "restricted_loss");
  const auto solved = std::find_if(restricted.begin(), restricted.end(), [](double loss) { return loss <= kSolved; });
  if (solved != restricted.end()) phases.circuit_formation = step(static_cast<std::size_t>(solved - restricted.begin()));
  const auto& evaluations = history.evaluations;
  const auto peak = std::max_element(evaluations.begin(), evaluations.end(),
                                     [](const auto& a, const auto& b) { return a.test_loss < b.test_loss; });
  const auto gone = std::find_if(peak, evaluations.end(), [&](const auto& e) { return e.test_loss <= kGone * peak->test_loss; });
  if (gone != evaluations.end()) phases.clean_up = step(static_cast<std::size_t>(gone - evaluations.begin()));
  return phases;
}

}  // namespace grokscope::nanda
