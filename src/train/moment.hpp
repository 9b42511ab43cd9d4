// When is it? theta_E is the state before the first step of epoch E, theta_0 the initialisation.
#pragma once

#include <cstdint>
#include <string>

namespace grokscope {

struct Moment {
  std::int64_t epoch = 0;         ///< passes over the training set begun before this
  std::int64_t step = 0;          ///< optimizer steps taken
  std::int64_t step_in_epoch = 0; ///< of those, in the present epoch
  bool final = false;             ///< the state after the last step

  bool at_epoch_start() const { return step_in_epoch == 0; }
  /// "epoch_100", or "epoch_100_step_1234" within an epoch: name of groups and checkpoints.
  std::string name() const {
    auto text = "epoch_" + std::to_string(epoch);
    if (!at_epoch_start()) text += "_step_" + std::to_string(step);
    return text;
  }
};

/// Losses and accuracies over the whole splits at one moment.
struct Evaluation {
  double train_loss = 0;
  double test_loss = 0;
  double train_acc = 0;
  double test_acc = 0;
};

}  // namespace grokscope
