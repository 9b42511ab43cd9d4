#include "train/schedule.hpp"

#include <algorithm>
#include <cmath>

namespace grokscope {
namespace {

std::vector<std::int64_t> log_points(std::int64_t last, std::int64_t count) {
  std::vector<std::int64_t> points{0};
  for (std::int64_t i = 0; i < count; ++i) {
    const double share = count == 1 ? 1 : static_cast<double>(i) / static_cast<double>(count - 1);
    points.push_back(std::llround(std::exp(share * std::log(std::max<double>(1, static_cast<double>(last))))));
  }
  points.erase(std::unique(points.begin(), points.end()), points.end());
  return points;
}

}  // namespace

void ScheduleOptions::declare(Schema& s) {
  s.add("kind", kind, "how moments are spread").one_of({"every", "log", "list", "adaptive"});
  s.add("unit", unit, "what it counts").one_of({"epoch", "step"});
  s.add("every", every, "every: one moment every so many units").at_least(1);
  s.add("points", points, "log: number of moments, evenly spread in the logarithm").at_least(1);
  s.add("at", at, "list: the moments").at_least(0);
  s.add("base", base, "adaptive: interval while nothing happens").at_least(1);
  s.add("dense", dense, "adaptive: interval while test accuracy moves").at_least(1);
  s.add("threshold", threshold, "adaptive: change of test accuracy between evaluations that counts as moving").above(0);
  s.add("lookback", lookback, "adaptive: evaluations whose weights are kept, to be measured when a jump is noticed")
      .at_least(0);
}

Schedule::Schedule(ScheduleOptions options, std::int64_t last) : options_(std::move(options)), last_(last) {
  if (options_.kind == "log") points_ = log_points(last, options_.points);
  if (options_.kind == "list") {
    points_ = options_.at;
    std::sort(points_.begin(), points_.end());
  }
}

bool Schedule::due(const Moment& now) const {
  if (now.final) return true;
  if (options_.unit == "epoch" && !now.at_epoch_start()) return false;
  const auto p = position(now);
  if (options_.kind == "every") return p % options_.every == 0;
  if (options_.kind == "adaptive") return p % options_.base == 0 || (moving_ && p % options_.dense == 0);
  return std::binary_search(points_.begin(), points_.end(), p);
}

std::int64_t Schedule::count() const {
  if (options_.kind == "every") return last_ / options_.every + 1 + (last_ % options_.every != 0 ? 1 : 0);
  if (options_.kind == "adaptive") return last_ / std::min(options_.dense, options_.base) + 1;
  return std::count_if(points_.begin(), points_.end(), [&](auto p) { return p < last_; }) + 1;
}

std::vector<Schedule::Kept> Schedule::observe(const Moment& now, const Evaluation& evaluation,
                                              std::int64_t last_measured_step,
                                              const std::function<std::vector<double>()>& keep) {
  if (options_.kind != "adaptive") return {};
  const bool was_moving = moving_;
  moving_ = previous_acc_ && std::abs(evaluation.test_acc - *previous_acc_) > options_.threshold;
  previous_acc_ = evaluation.test_acc;
  std::vector<Kept> wanted;
  if (moving_ && !was_moving) {
    for (auto& kept : kept_) {
      if (kept.moment.step > last_measured_step) wanted.push_back(std::move(kept));
    }
    kept_.clear();
  }
  if (options_.lookback > 0) {
    kept_.push_back({now, evaluation, keep()});
    while (static_cast<std::int64_t>(kept_.size()) > options_.lookback) kept_.pop_front();
  }
  return wanted;
}

std::vector<NamedArray> Schedule::state(const std::string& prefix) const {
  if (options_.kind != "adaptive") return {};
  std::vector<NamedArray> arrays;
  arrays.push_back(NamedArray::scalar<double>(prefix + "previous_acc", previous_acc_.value_or(kMissingAccuracy))
                       .described({"test accuracy of the last evaluation", "1", "-1 before the first"}));
  arrays.push_back(NamedArray::scalar<std::int64_t>(prefix + "moving", moving_ ? 1 : 0)
                       .described({"test accuracy moves", "1", "1 when it changed by more than the threshold"}));
  std::vector<std::int64_t> moments;
  std::vector<double> states, evaluations;
  for (const auto& kept : kept_) {
    const auto& e = kept.evaluation;
    moments.insert(moments.end(), {kept.moment.epoch, kept.moment.step, kept.moment.step_in_epoch});
    evaluations.insert(evaluations.end(), {e.train_loss, e.test_loss, e.train_acc, e.test_acc});
    states.insert(states.end(), kept.state.begin(), kept.state.end());
  }
  const auto n = static_cast<std::int64_t>(kept_.size());
  arrays.push_back(NamedArray::from<std::int64_t>(prefix + "kept_moments", {n, 3}, moments)
                       .described({"moments whose weights are kept", "1", "epoch, step, step in the epoch"}));
  arrays.push_back(NamedArray::from<double>(prefix + "kept_evaluations", {n, 4}, evaluations)
                       .described({"evaluations there", "1", "train_loss, test_loss, train_acc, test_acc"}));
  const auto width = n > 0 ? static_cast<std::int64_t>(kept_.front().state.size()) : 0;
  arrays.push_back(NamedArray::from<double>(prefix + "kept_states", {n, width}, states)
                       .described({"weights there", "1", "all parameters, flat, in the order of /parameters"}));
  return arrays;
}

void Schedule::load(std::span<const NamedArray> arrays, const std::string& prefix) {
  if (options_.kind != "adaptive") return;
  const double acc = find_array(arrays, prefix + "previous_acc").values<double>()[0];
  previous_acc_ = acc == kMissingAccuracy ? std::nullopt : std::optional<double>(acc);
  moving_ = find_array(arrays, prefix + "moving").values<std::int64_t>()[0] != 0;
  const auto moments = find_array(arrays, prefix + "kept_moments").values<std::int64_t>();
  const auto e = find_array(arrays, prefix + "kept_evaluations").values<double>();
  const auto& states = find_array(arrays, prefix + "kept_states");
  const auto values = states.values<double>();
  const auto width = static_cast<std::size_t>(states.shape.at(1));
  kept_.clear();
  for (std::size_t i = 0; i * 3 < moments.size(); ++i) {
    const auto row = values.subspan(i * width, width);
    kept_.push_back({{moments[3 * i], moments[3 * i + 1], moments[3 * i + 2], false},
                     {e[4 * i], e[4 * i + 1], e[4 * i + 2], e[4 * i + 3]}, {row.begin(), row.end()}});
  }
}

}  // namespace grokscope
