#include "experiments/09_levi_linear/experiment.hpp"

#include <cmath>

#include "data/teacher_student.hpp"
#include "experiments/09_levi_linear/theory.hpp"
#include "nn/linear_model.hpp"

namespace grokscope {
namespace {

TaskInfo levi_info() {
  return {"09_levi_linear", "Linear student of a linear teacher: grokking in closed form",
          "Levi, Beck and Bar-Sinai 2023, Grokking in linear estimators, arXiv 2310.16441",
          "train and test accuracy rise at the times that the spectrum of the data predicts, the delay growing without bound "
          "as d_in / N approaches 1"};
}

std::vector<double> to_vector(const at::Tensor& t) {
  const auto host = t.to(at::kCPU, at::kDouble).contiguous();
  return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
}

class LeviLinear : public Task {
 public:
  TaskInfo info() const override { return levi_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("d_in", d_in_, "input dimension").at_least(1);
    data.add("d_out", d_out_, "output dimension").at_least(1);
    data.add("n_train", n_train_, "training examples N; lambda = d_in / N").unit("example").at_least(1);
    data.add("n_test", n_test_, "test examples drawn; 0: the exact expectation over inputs").unit("example").at_least(0);
    data.add("tolerance", tolerance_, "eps: an example is correct when its squared error is below").above(0);
    data.add("draws", draws_, "draws of student and teacher that the predicted times are averaged over").at_least(1);
    schemas.section("model").add("init_scale", init_scale_, "alpha: factor on the student's initial entries").at_least(0);
  }

  void build_data(const TrainingOptions& training) override {
    const auto seed = static_cast<std::uint64_t>(training.seed);
    teacher_ = draw("teacher", seed);
    data_.train = teacher_examples({d_in_, d_out_, n_train_}, teacher_, seed, "train_inputs", 0);
    data_.test = teacher_examples({d_in_, d_out_, n_test_}, teacher_, seed, "test_inputs", n_train_);
  }

  void build_model(const TrainingOptions& training) override {
    student_ = init_scale_ * draw("student", static_cast<std::uint64_t>(training.seed));
    model_ = std::make_unique<LinearModel>(student_.t());
    loss_ = regression_mse(tolerance_);
  }

  std::vector<NamedArray> extra_data() const override {
    return {to_named_array("teacher", teacher_).described({"teacher T", "1", "targets are inputs times T; [d_in, d_out]"})};
  }

  void restore_data(std::span<const NamedArray> arrays) override {
    Task::restore_data(arrays);
    teacher_ = to_tensor(find_array(arrays, "teacher"));
  }

  /// L_gen = |D|^2 / d_out, and the accuracy of Gaussian errors of that variance (Eq. 10 and 13).
  std::optional<std::pair<double, double>> exact_test_score() const override {
    if (n_test_ > 0) return std::nullopt;
    const auto error = model().parameters[0].value.detach().to(at::kCPU, at::kDouble).t() - teacher_;
    const double loss = error.square().sum().item<double>() / static_cast<double>(d_out_);
    const auto half = at::scalar_tensor(0.5 * static_cast<double>(d_out_), at::kDouble);
    const auto x = at::scalar_tensor(0.5 * static_cast<double>(d_out_) * tolerance_ / loss, at::kDouble);
    return std::pair{loss, at::special_gammainc(half, x).item<double>()};
  }

  std::vector<Result> results(const TrainingOptions& training, const History& history) const override {
    const double threshold = tolerance_ / 4;
    const auto last = history.step.empty() ? 0 : history.step.back();
    const auto measured = measured_times(history, threshold);
    const auto inputs = data_.train.inputs.to(at::kCPU, at::kDouble);
    const auto [nu, vectors] = at::linalg_eigh(inputs.t().mm(inputs) / static_cast<double>(n_train_), "U");
    const auto own = levi::crossing_times(dynamics(training, nu, vectors, student_, teacher_), threshold, last);
    const double lambda = static_cast<double>(d_in_) / static_cast<double>(n_train_);
    const auto limit = levi::marchenko_pastur_times(lambda, training.lr, static_cast<double>(d_out_), threshold, 10 * last + 10);
    const auto mean = levi::crossing_times(mean_dynamics(training, nu, vectors), threshold, 10 * last + 10);
    const auto eigenvalues = to_vector(nu.flip(0));
    const levi::Times error{std::abs(measured.train - own.train), std::abs(measured.test - own.test)};
    std::vector<Result> results;
    add_times(results, "", "", measured, {"measured", "step", "first evaluation with loss <= tolerance / 4; NaN: never"});
    add_times(results, "closed_form_", "", own,
              {"in closed form", "step", "first step with loss <= tolerance / 4 for this very draw; NaN: never"});
    add_times(results, "marchenko_pastur_", "", limit,
              {"of Marchenko-Pastur", "step", "first step with loss <= tolerance / 4 in the limit of large d; NaN: never"});
    add_times(results, "", "_error", error, {"error", "step", "|measured - closed form|"});
    add_times(results, "", "_ratio", over(measured, limit), {"ratio", "1", "measured / Marchenko-Pastur"});
    add_times(results, "mean_over_draws_", "_ratio", over(mean, limit),
              {"ratio of the mean over draws", "1",
               "closed form of the losses averaged over data.draws students and teachers / Marchenko-Pastur"});
    results.push_back({"lambda", {lambda}, {"lambda", "1", "d_in / N"}});
    results.push_back({"sigma_eigenvalues", eigenvalues, {"eigenvalues of Sigma", "1", "Sigma = X^T X / N, descending"}});
    results.push_back({"sigma_distance_to_marchenko_pastur", {levi::distance_to_marchenko_pastur(eigenvalues, lambda)},
                       {"distance to Marchenko-Pastur", "1",
                        "largest difference of the distribution functions of Sigma's non-zero eigenvalues"}});
    return results;
  }

 private:
  /// Entries N(0, 1/(2 d_in d_out)), [d_in, d_out].
  at::Tensor draw(const std::string& stream, std::uint64_t seed) const {
    const double std = 1 / std::sqrt(2.0 * static_cast<double>(d_in_) * static_cast<double>(d_out_));
    return std * gaussian_matrix(d_in_, d_out_, seed, stream);
  }

  static levi::Times over(const levi::Times& a, const levi::Times& b) { return {a.train / b.train, a.test / b.test}; }

  /// Adds the pair of results <prefix>t_train<suffix> and <prefix>t_gen<suffix>.
  static void add_times(std::vector<Result>& results, const std::string& prefix, const std::string& suffix,
                        const levi::Times& times, const Description& d) {
    results.push_back({prefix + "t_train" + suffix, {times.train}, {"memorisation time, " + d.long_name, d.units, d.definition}});
    results.push_back({prefix + "t_gen" + suffix, {times.test}, {"generalisation time, " + d.long_name, d.units, d.definition}});
  }

  static levi::Times measured_times(const History& history, double threshold) {
    levi::Times times{kMissing, kMissing};
    for (std::size_t i = 0; i < history.step.size(); ++i) {
      const auto step = static_cast<double>(history.step[i]);
      if (std::isnan(times.train) && history.evaluations[i].train_loss <= threshold) times.train = step;
      if (std::isnan(times.test) && history.evaluations[i].test_loss <= threshold) times.test = step;
    }
    return times;
  }

  levi::Dynamics dynamics(const TrainingOptions& training, const at::Tensor& nu, const at::Tensor& vectors,
                          const at::Tensor& student, const at::Tensor& teacher) const {
    const auto error = vectors.t().mm(student - teacher), target = vectors.t().mm(teacher);
    return {to_vector(nu), to_vector(error.square().sum(1)), to_vector((error * target).sum(1)),
            to_vector(target.square().sum(1)), training.lr, training.weight_decay, static_cast<double>(d_out_)};
  }

  /// Losses averaged over independent students and teachers on the same inputs.
  levi::Dynamics mean_dynamics(const TrainingOptions& training, const at::Tensor& nu, const at::Tensor& vectors) const {
    levi::Dynamics mean;
    for (std::int64_t k = 0; k < draws_; ++k) {
      const auto seed = static_cast<std::uint64_t>(training.seed) + 1000 * static_cast<std::uint64_t>(k + 1);
      const auto one = dynamics(training, nu, vectors, init_scale_ * draw("student", seed), draw("teacher", seed));
      if (k == 0) {
        mean = one;
        continue;
      }
      for (std::size_t i = 0; i < one.nu.size(); ++i) {
        mean.error[i] += one.error[i], mean.cross[i] += one.cross[i], mean.teacher[i] += one.teacher[i];
      }
    }
    for (auto* values : {&mean.error, &mean.cross, &mean.teacher}) {
      for (auto& value : *values) value /= static_cast<double>(draws_);
    }
    return mean;
  }

  std::int64_t d_in_ = 1000;
  std::int64_t d_out_ = 1;
  std::int64_t n_train_ = 1111;
  std::int64_t n_test_ = 0;
  std::int64_t draws_ = 20;
  double tolerance_ = 1e-3;
  double init_scale_ = 1;
  at::Tensor teacher_;
  at::Tensor student_;
};

}  // namespace

Experiment levi_linear() {
  return {levi_info(), [] { return std::make_unique<LeviLinear>(); }};
}

}  // namespace grokscope
