// The teacher-student variant of paper 05: the teacher's answers recomputed layer by layer, and its
// independence of the student; and the numbers that a point of the L and U curves is made of.
#include "experiments/05_liu_omnigrok/experiment.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/task_with.hpp"

namespace grokscope {
namespace {

const std::map<std::string, std::string> kStudent{{"data.source", "teacher_student"},
                                                  {"data.n_train", "40"},
                                                  {"data.n_test", "30"},
                                                  {"model.activation", "tanh"},
                                                  {"model.init_scale", "2"}};

TEST(TeacherStudent, TargetsAreTheTeachersAnswers) {
  const auto task = task_with(liu_omnigrok(), kStudent);
  const auto teacher = task->extra_data();
  const auto part = [&](const std::string& name) {
    return to_tensor(find_array(teacher, "teacher/" + name));
  };
  for (const auto& split : {task->data().train, task->data().test}) {
    auto x = split.inputs;
    for (const std::string layer : {"layers.0", "layers.1", "layers.2"}) {
      x = at::mm(x, part(layer + ".weight").t()) + part(layer + ".bias");
      if (layer != "layers.2") x = at::tanh(x);
    }
    EXPECT_LT((x - split.targets).abs().max().item<double>(), 1e-14);
    EXPECT_NEAR(split.inputs.square().mean().item<double>(), 1, 0.3);
  }
  EXPECT_EQ(task->data().train.size(), 40);
  EXPECT_EQ(task->data().test.ids[0].item<std::int64_t>(), 40);
  EXPECT_GT((task->data().train.inputs.slice(0, 0, 30) - task->data().test.inputs).abs().min().item<double>(),
            0);
}

TEST(TeacherStudent, TheStudentIsNotTheTeacherAndTwiceAsLarge) {
  const auto task = task_with(liu_omnigrok(), kStudent);
  const auto teacher = to_tensor(find_array(task->extra_data(), "teacher/layers.1.weight")).reshape({-1});
  const auto student = task->model().parameters[2].value.detach().reshape({-1});
  const double cosine = (teacher.dot(student) / teacher.norm() / student.norm()).item<double>();
  EXPECT_LT(std::abs(cosine), 5.0 / 200);  // 40,000 weights: five standard deviations
  EXPECT_NEAR((student.norm() / teacher.norm()).item<double>(), 2, 0.03);
  EXPECT_EQ(task->data().train.targets.size(1), 5);
}

TEST(TeacherStudent, HasThePapersParameters) {
  auto task = task_with(liu_omnigrok(), {{"data.source", "teacher_student"}, {"model.hidden", "[100, 100]"}});
  EXPECT_EQ(task->model().parameters.total(), 11205);
}

TEST(Omnigrok, ObservesTheNormRelativeToTheInitialOne) {
  const auto task = task_with(liu_omnigrok(), kStudent);
  const double norm = task->model().parameters.norm();
  task->model().parameters.scale(0.25);
  auto comm = Communicator::duplicate(MPI_COMM_WORLD);
  Record record;
  task->observe({}, Spread(comm), record);
  comm.free();
  EXPECT_NEAR(record.value_of("observables/weight_norm_ratio"), 0.25, 1e-14);
  History history;
  history.add(0, {9, 9, 0, 0});
  history.add(10, {1, 2, .75, .5});
  std::map<std::string, double> found;
  for (const auto& r : task->results({}, history)) found[r.name] = r.values.at(0);
  EXPECT_EQ(found.at("alpha"), 2);
  EXPECT_EQ(found.at("final_train_loss"), 1);
  EXPECT_EQ(found.at("final_test_loss"), 2);
  EXPECT_EQ(found.at("final_test_acc"), .5);
  EXPECT_NEAR(found.at("final_weight_norm"), norm / 4, 1e-12 * norm);
  EXPECT_NEAR(found.at("initial_weight_norm"), norm, 1e-12 * norm);
}

}  // namespace
}  // namespace grokscope
