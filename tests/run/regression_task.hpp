// Which task do the tests of a run train where they need no paper's? Linear regression on the answers of a random teacher, in
// one dimension.
#pragma once

#include "data/teacher_student.hpp"
#include "train/task.hpp"

namespace grokscope {

class RegressionTask : public Task {
 public:
  RegressionTask(TaskInfo info, std::int64_t inputs, std::int64_t n_train)
      : info_(std::move(info)), inputs_(inputs), n_train_(n_train) {}

  TaskInfo info() const override { return info_; }
  void declare(Schemas&) override {}
  void build_data(const TrainingOptions&) override {
    data_.train = teacher_examples({inputs_, 1, n_train_}, teacher_, 1, "inputs", 0);
    data_.test = teacher_examples({inputs_, 1, 0}, teacher_, 1, "test_inputs", n_train_);
  }

 private:
  TaskInfo info_;
  std::int64_t inputs_, n_train_;

 protected:
  /// Where the student starts, [1, inputs].
  at::Tensor first_weights() const { return gaussian_matrix(inputs_, 1, 1, "student").t(); }

  const at::Tensor teacher_ = gaussian_matrix(inputs_, 1, 1, "teacher");  ///< data.h5 does not hold it
};

}  // namespace grokscope
