#include "experiments/05_liu_omnigrok/experiment.hpp"

#include <fmt/format.h>

#include "data/idx_images.hpp"
#include "data/teacher_student.hpp"
#include "nn/mlp.hpp"

namespace grokscope {
namespace {

TaskInfo omnigrok_info() {
  return {"05_liu_omnigrok", "MNIST from an enlarged initialisation: grokking on images",
          "Liu, Michaud and Tegmark 2022, Omnigrok: grokking beyond algorithmic data, arXiv 2210.01117",
          "with all weights enlarged 8 times, test accuracy rises to about .9 tens of thousands of steps "
          "after training "
          "accuracy, the later the smaller the weight decay"};
}

class LiuOmnigrok : public Task {
 public:
  TaskInfo info() const override { return omnigrok_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("source", source_, "images, or random inputs answered by a network of the student's shape")
        .one_of({"mnist", "teacher_student"});
    data.add("dir", folder_, "folder of the MNIST IDX files").not_scientific();
    data.add("n_train", n_train_, "training images, the first in the file; or training inputs")
        .unit("example")
        .range(1, 60000);
    data.add("n_test", n_test_, "test images, the first in the file; or test inputs")
        .unit("example")
        .range(1, 10000);
    data.add("dimension", dimension_, "teacher_student: number of inputs and of outputs").at_least(1);
    data.add("tolerance", tolerance_, "teacher_student: an example is correct when its loss is below")
        .above(0);
    auto& model = schemas.section("model");
    model.add("hidden", hidden_, "widths of the hidden layers").at_least(1);
    model.add("activation", activation_, "between layers").one_of({"relu", "tanh"});
    model.add("init_scale", init_scale_, "alpha: factor on all initial weights and biases").above(0);
  }

  void build_data(const TrainingOptions& training) override {
    if (has_teacher()) {
      const auto seed = static_cast<std::uint64_t>(training.seed);
      const Mlp teacher(shape(), 1, teacher_seed(training));
      data_.train = answered_by(teacher, gaussian_matrix(n_train_, dimension_, seed, "train_inputs"), 0);
      data_.test = answered_by(teacher, gaussian_matrix(n_test_, dimension_, seed, "test_inputs"), n_train_);
      teacher_.clear();
      for (const auto& p : teacher.parameters.all()) {
        teacher_.push_back(to_named_array("teacher/" + p.name, p.value)
                               .described({"teacher's " + p.name, "1", "the targets are its outputs"}));
      }
      return;
    }
    const std::string fix = fmt::format("run tools/fetch_data.py mnist --dir {}", folder_);
    data_.train = in_unit_range(read_idx_pair(folder_, "train", 0, n_train_, fix));
    data_.test = in_unit_range(read_idx_pair(folder_, "t10k", 60000, n_test_, fix));
  }

  void build_model(const TrainingOptions& training) override {
    model_ = std::make_unique<Mlp>(shape(), init_scale_, static_cast<std::uint64_t>(training.seed));
    loss_ = has_teacher() ? regression_mse(tolerance_, loss_type(training)) : one_hot_mse(loss_type(training));
  }

  void note_start() override { initial_norm_ = model().parameters.norm(); }

  std::vector<NamedArray> extra_data() const override { return teacher_; }

  void observe(const Moment&, const Spread&, Record& record) const override {
    record.set({"observables/weight_norm_ratio", "norm of all parameters relative to the initial one", "1",
                "sqrt of the sum of squares / its value at step 0"},
               model().parameters.norm() / initial_norm_);
  }

  std::vector<Result> results(const TrainingOptions&, const History& history) const override {
    const auto norm = model().parameters.norm();
    const auto& last = history.evaluations.back();
    return {
        {"alpha", {init_scale_}, {"alpha", "1", "factor on the initial parameters: model.init_scale"}},
        {"initial_weight_norm",
         {initial_norm_},
         {"initial norm of all parameters", "1", "sqrt of the sum of squares"}},
        {"final_weight_norm", {norm}, {"final norm of all parameters", "1", "sqrt of the sum of squares"}},
        {"final_train_loss", {last.train_loss}, {"final training loss", "loss", "at the last step"}},
        {"final_test_loss", {last.test_loss}, {"final test loss", "loss", "at the last step"}},
        {"final_train_acc", {last.train_acc}, {"final training accuracy", "1", "at the last step"}},
        {"final_test_acc", {last.test_acc}, {"final test accuracy", "1", "at the last step"}}};
  }

 private:
  bool has_teacher() const { return source_ == "teacher_student"; }

  /// Any stream but the student's: the initialisations of two seeds have nothing in common.
  static std::uint64_t teacher_seed(const TrainingOptions& training) {
    return static_cast<std::uint64_t>(training.seed) + 1'000'000;
  }

  MlpShape shape() const {
    std::vector<std::int64_t> widths{has_teacher() ? dimension_ : 784};
    widths.insert(widths.end(), hidden_.begin(), hidden_.end());
    widths.push_back(has_teacher() ? dimension_ : 10);
    return {widths, activation_, true};
  }

  static Dataset answered_by(const Mlp& teacher, const at::Tensor& inputs, std::int64_t first_id) {
    at::NoGradGuard no_grad;
    auto tape = Tape::inactive();
    return {at::arange(first_id, first_id + inputs.size(0), at::kLong), inputs,
            teacher.forward(inputs, tape)};
  }

  static Dataset in_unit_range(Dataset images) {
    images.inputs = images.inputs.to(at::kDouble) / 255;
    return images;
  }

  std::string source_ = "mnist";
  std::string folder_ = "data/mnist";
  std::int64_t n_train_ = 1000;
  std::int64_t n_test_ = 10000;
  std::int64_t dimension_ = 5;
  double tolerance_ = 0.01;
  std::vector<std::int64_t> hidden_{200, 200};
  std::string activation_ = "relu";
  double init_scale_ = 8;
  double initial_norm_ = 0;
  std::vector<NamedArray> teacher_;
};

}  // namespace

Experiment liu_omnigrok() {
  return {omnigrok_info(), [] { return std::make_unique<LiuOmnigrok>(); }};
}

}  // namespace grokscope
