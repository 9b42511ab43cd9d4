#include "experiments/06_humayun_deep/course.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace grokscope::humayun {
namespace {

using Rows = std::function<bool(std::int64_t step)>;
using Point = std::pair<std::int64_t, double>;  ///< step and value

/// A series at the wanted steps, NaN left out.
std::vector<Point> part(const History& history, const std::string& name, const Rows& wanted) {
  std::vector<Point> values;
  const auto series = history.observables.find(name);
  if (series == history.observables.end()) return values;
  for (std::size_t i = 0; i < series->second.size(); ++i) {
    const double value = series->second[i];
    if (wanted(history.step[i]) && !std::isnan(value)) values.emplace_back(history.step[i], value);
  }
  return values;
}

bool by_value(const Point& a, const Point& b) { return a.second < b.second; }

double smallest(const std::vector<Point>& values) {
  return values.empty() ? kMissing : std::min_element(values.begin(), values.end(), by_value)->second;
}

double largest(const std::vector<Point>& values) {
  return values.empty() ? kMissing : std::max_element(values.begin(), values.end(), by_value)->second;
}

bool on_plateau(std::int64_t step) { return step >= kPlateauFrom && step <= kPlateauTo; }

}  // namespace

std::vector<Result> robustness_course(const History& history, const std::vector<std::string>& names) {
  const auto last = history.step.empty() ? 0 : history.step.back();
  const auto is_late = [&](std::int64_t step) { return static_cast<double>(step) >= kLateFrom * static_cast<double>(last); };
  std::vector<Result> results;
  for (const auto& name : names) {
    const auto plateau = part(history, name, on_plateau);
    const double low = smallest(plateau), late = largest(part(history, name, is_late));
    results.push_back({name + "_plateau_min", {low}});
    results.push_back({name + "_plateau_max", {largest(plateau)}});
    results.push_back({name + "_late_max", {late}});
    results.push_back({name + "_rise", {late / low}});
  }
  return results;
}

double onset_step(const History& history, const std::string& name, double threshold) {
  for (const auto& [step, value] : part(history, name, [](std::int64_t s) { return s > kPlateauFrom; })) {
    if (value >= threshold) return static_cast<double>(step);
  }
  return kMissing;
}

std::vector<Result> complexity_course(const History& history, const std::vector<std::string>& names) {
  std::vector<Result> results;
  for (const auto& name : names) {
    const auto early = part(history, name, [](std::int64_t s) { return s > 0 && s <= kPlateauFrom; });
    double minimum = kMissing, peak = kMissing, end = kMissing;
    if (!early.empty()) {
      const auto lowest = std::min_element(early.begin(), early.end(), by_value);
      minimum = lowest->second;
      const auto after = part(history, name, [&](std::int64_t s) { return s > lowest->first; });
      peak = largest(after);
      if (!after.empty()) end = after.back().second;
    }
    results.push_back({name + "_early_min", {minimum}});
    results.push_back({name + "_peak", {peak}});
    results.push_back({name + "_end", {end}});
    results.push_back({name + "_ascent", {peak / minimum}});
    results.push_back({name + "_descent", {end / peak}});
  }
  return results;
}

}  // namespace grokscope::humayun
