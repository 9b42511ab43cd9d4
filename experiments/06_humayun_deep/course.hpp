// What did the curves of a whole run do? (the numbers that the gates of paper 06 are about)
// The rise of the robustness is measured against the plateau that follows memorisation, never against the initialisation:
// PGD accuracy has an early maximum within the first 50 steps.
#pragma once

#include <string>
#include <vector>

#include "train/task.hpp"

namespace grokscope::humayun {

/// Steps of the plateau, and the share of the run after which it is late.
inline constexpr std::int64_t kPlateauFrom = 300;
inline constexpr std::int64_t kPlateauTo = 6000;
inline constexpr double kLateFrom = 0.75;

/// For each series `<name>` of the observables (accuracies under attack): its smallest and largest value on the plateau and
/// the largest in the late part, as `<name>_plateau_min`, `<name>_plateau_max`, `<name>_late_max`, and the ratio
/// `<name>_rise` of the last to the first. NaN where no observation falls.
std::vector<Result> robustness_course(const History& history, const std::vector<std::string>& names);

/// First observed step past kPlateauFrom with a value of at least `threshold`; NaN when there is none.
double onset_step(const History& history, const std::string& name, double threshold);

/// For each series of local complexity: the minimum up to step kPlateauFrom (step 0, the initialisation, does not count),
/// the largest value after it and the last, as `<name>_early_min`, `<name>_peak`, `<name>_end`, and the ratios
/// `<name>_ascent` = peak / minimum, `<name>_descent` = end / peak.
std::vector<Result> complexity_course(const History& history, const std::vector<std::string>& names);

}  // namespace grokscope::humayun
