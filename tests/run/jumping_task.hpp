// Which task moves in jumps that a schedule can notice, and raises a signal where a test wants it?
#pragma once

#include <cmath>
#include <csignal>
#include <memory>
#include <optional>
#include <utility>

#include "nn/linear_model.hpp"
#include "run/regression_task.hpp"

namespace grokscope {

/// Linear regression whose test accuracy rises in five jumps while the student comes near the teacher.
class JumpingTask : public RegressionTask {
 public:
  /// `signal_at`: the raising evaluation, counted from 1 on; it is this process's, and 0 means never.
  explicit JumpingTask(const int& signal_at)
      : RegressionTask({"jumping", "a test", "nobody", "accuracy jumps"}, 12, 17), signal_at_(signal_at) {}

  void build_model(const TrainingOptions&) override {
    model_ = std::make_unique<LinearModel>(first_weights());
    loss_ = regression_mse(0.01);
    first_distance_ = distance();
  }
  std::optional<std::pair<double, double>> exact_test_score() const override {
    if (++evaluations_ == signal_at_) std::raise(SIGUSR1);
    const double loss = distance();
    return std::pair{loss, 1 - std::ceil(5 * loss / first_distance_) / 5};
  }

 private:
  double distance() const {
    return (model().parameters[0].value.detach().t() - teacher_).square().sum().item<double>();
  }

  const int& signal_at_;
  mutable int evaluations_ = 0;
  double first_distance_ = 0;
};

}  // namespace grokscope
