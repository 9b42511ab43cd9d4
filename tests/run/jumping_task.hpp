// Which task moves in jumps that a schedule can notice, and raises a signal where a test wants it?
#pragma once

#include <cmath>
#include <csignal>
#include <memory>
#include <optional>
#include <utility>

#include "data/teacher_student.hpp"
#include "nn/linear_model.hpp"
#include "train/task.hpp"

namespace grokscope {

/// Linear regression whose test accuracy rises in five jumps while the student comes near the teacher.
class JumpingTask : public Task {
 public:
  /// `signal_at`: the raising evaluation, counted from 1 on; it is this process's, and 0 means never.
  explicit JumpingTask(const int& signal_at) : signal_at_(signal_at) {}

  TaskInfo info() const override { return {"jumping", "a test", "nobody", "accuracy jumps"}; }
  void declare(Schemas&) override {}
  void build_data(const TrainingOptions&) override {
    teacher_ = gaussian_matrix(12, 1, 1, "teacher");
    data_.train = teacher_examples({12, 1, 17}, teacher_, 1, "inputs", 0);
    data_.test = teacher_examples({12, 1, 0}, teacher_, 1, "test_inputs", 17);
  }
  void build_model(const TrainingOptions&) override {
    model_ = std::make_unique<LinearModel>(gaussian_matrix(12, 1, 1, "student").t());
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
  at::Tensor teacher_;
  double first_distance_ = 0;
};

}  // namespace grokscope
