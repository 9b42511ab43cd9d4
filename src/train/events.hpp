// When did it memorise, and when did it generalise?
#pragma once

#include <optional>
#include <string>

#include "train/moment.hpp"
#include "train/options.hpp"

namespace grokscope {

/// First evaluations at which the accuracies reached their thresholds.
class Events {
 public:
  explicit Events(const TrainingOptions& options)
      : memorised_at_(options.memorised_at), generalised_at_(options.generalised_at) {}

  void observe(const Moment& now, const Evaluation& evaluation);

  const std::optional<Moment>& t_mem() const { return t_mem_; }
  const std::optional<Moment>& t_gen() const { return t_gen_; }
  std::string rule() const;

 private:
  double memorised_at_;
  double generalised_at_;
  std::optional<Moment> t_mem_;
  std::optional<Moment> t_gen_;
};

/// Decides when a StopRule ends the run.
class StopWatcher {
 public:
  explicit StopWatcher(const std::optional<StopRule>& rule) : rule_(rule) {}
  void observe(const Moment& now, const Evaluation& evaluation);
  /// True when the run ends at this moment: a later one than that of the evaluation which met the rule, so that a run that is
  /// resumed from a commit of just that moment ends where one that was never interrupted does.
  bool ends_at(const Moment& now) const { return met_at_ && now.step > met_at_->step && now.epoch >= met_at_->epoch + rule_->after; }

 private:
  std::optional<StopRule> rule_;
  std::optional<Moment> met_at_;
};

}  // namespace grokscope
