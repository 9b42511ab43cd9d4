// How has training gone so far?
// The evaluations and observations that events, the stop rule and the paper's results are functions of: what is known of
// them, what a checkpoint holds of them, and what the files say of them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/named_array.hpp"
#include "io/run_facts.hpp"
#include "train/events.hpp"
#include "train/task.hpp"

namespace grokscope {

class Course {
 public:
  explicit Course(const TrainingOptions& options) : events_(options), stop_rule_(options.stop_when) {}

  void add(const Moment& now, const Evaluation& evaluation);
  /// Of the moment last added.
  void add(const Record& observation) { history_.add(observation); }

  const Events& events() const { return events_; }
  /// Nothing before the first evaluation.
  const Evaluation* last() const { return history_.evaluations.empty() ? nullptr : &history_.evaluations.back(); }
  /// Of the evaluation before the last one, -1: there is none.
  std::int64_t step_before() const;
  bool ends_at(const Moment& now) const { return stop_rule_.ends_at(now); }

  /// What a checkpoint keeps, and a resumed run takes up. Local.
  std::vector<NamedArray> state(std::int64_t steps_per_epoch) const;
  void load(std::span<const NamedArray> arrays);

  /// /events of metrics.h5.
  Summary event_summary() const;
  /// /results of metrics.h5: what the paper reads off the whole run.
  Summary result_summary(const Task& task, const TrainingOptions& options) const;

 private:
  Events events_;
  StopWatcher stop_rule_;
  History history_;
};

}  // namespace grokscope
