#include "train/events.hpp"

#include <fmt/format.h>

namespace grokscope {

void Events::observe(const Moment& now, const Evaluation& evaluation) {
  if (!t_mem_ && evaluation.train_acc >= memorised_at_) t_mem_ = now;
  if (!t_gen_ && evaluation.test_acc >= generalised_at_) t_gen_ = now;
}

std::string Events::rule() const {
  return fmt::format("first evaluation with train_acc >= {} (t_mem), test_acc >= {} (t_gen)", memorised_at_,
                     generalised_at_);
}

void StopWatcher::observe(const Moment& now, const Evaluation& e) {
  if (!rule_ || met_at_) return;
  const double value = rule_->metric == "train_loss"  ? e.train_loss
                       : rule_->metric == "test_loss" ? e.test_loss
                       : rule_->metric == "train_acc" ? e.train_acc : e.test_acc;
  if ((rule_->above && value >= *rule_->above) || (rule_->below && value <= *rule_->below)) met_at_ = now;
}

}  // namespace grokscope
