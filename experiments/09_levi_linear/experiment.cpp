#include "experiments/09_levi_linear/experiment.hpp"

#include <fmt/format.h>

#include <cmath>

#include "data/teacher_student.hpp"
#include "experiments/09_levi_linear/theory.hpp"
#include "nn/layers.hpp"
#include "nn/linear_model.hpp"
#include "nn/mlp.hpp"

namespace grokscope {
namespace {

TaskInfo levi_info() {
  return {"09_levi_linear", "Linear student of a linear teacher: grokking in closed form",
          "Levi, Beck and Bar-Sinai 2023, Grokking in linear estimators, arXiv 2310.16441",
          "train and test accuracy rise at the times that the spectrum of the data predicts, the delay "
          "growing without bound "
          "as d_in / N approaches 1"};
}

std::vector<double> to_vector(const at::Tensor& t) {
  const auto host = t.to(at::kCPU, at::kDouble).contiguous();
  return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
}

constexpr std::size_t kDensityCells = 50;
constexpr int kMoments = 4;

class LeviLinear : public Task {
 public:
  TaskInfo info() const override { return levi_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("d_in", d_in_, "input dimension").at_least(1);
    data.add("d_out", d_out_, "output dimension").at_least(1);
    data.add("n_train", n_train_, "training examples N; lambda = d_in / N").unit("example").at_least(1);
    data.add("n_test", n_test_, "test examples drawn; 0: the exact expectation over inputs")
        .unit("example")
        .at_least(0);
    data.add("tolerance", tolerance_, "eps: an example is correct when its squared error is below").above(0);
    data.add("draws", draws_, "draws of student and teacher that the predicted times are averaged over")
        .at_least(1);
    auto& model = schemas.section("model");
    model.add("hidden", hidden_, "hidden units of student and teacher; none: one matrix each").at_least(1);
    model.add("activation", activation_, "between the two matrices").one_of({"identity", "tanh"});
    model.add("init_scale", init_scale_, "alpha: factor on the student's initial entries").at_least(0);
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    if (hidden_ && n_test_ == 0) {
      problems.add("data.n_test", "no test examples", "the exact expectation is known for one matrix only",
                   "draw some, 10000 say");
    }
    if (!hidden_ && activation_ != "identity") {
      problems.add("model.activation", activation_ + " between one matrix and none",
                   "nothing stands behind it", "set model.hidden or leave the activation out");
    }
  }

  void build_data(const TrainingOptions& training) override {
    const auto seed = static_cast<std::uint64_t>(training.seed);
    teacher_ = draw("teacher", seed);
    data_.train = answered_by_teacher(n_train_, seed, "train_inputs", 0);
    data_.test = answered_by_teacher(n_test_, seed, "test_inputs", n_train_);
  }

  void build_model(const TrainingOptions& training) override {
    auto student = draw("student", static_cast<std::uint64_t>(training.seed));
    for (auto& matrix : student) matrix *= init_scale_;
    if (hidden_) {
      model_ = std::make_unique<Mlp>(MlpShape{{d_in_, *hidden_, d_out_}, activation_, false}, 1, 0);
      model().parameters.set_flat(at::cat({student[0].t().reshape({-1}), student[1].t().reshape({-1})}));
    } else {
      model_ = std::make_unique<LinearModel>(student[0].t());
    }
    loss_ = regression_mse(tolerance_, loss_type(training));
  }

  void note_start() override {
    if (!hidden_) student_ = model().parameters[0].value.detach().to(at::kCPU, at::kDouble).t().clone();
  }

  std::vector<NamedArray> extra_data() const override {
    std::vector<NamedArray> arrays;
    for (std::size_t l = 0; l < teacher_.size(); ++l) {
      arrays.push_back(
          to_named_array(matrix_name("teacher", l), teacher_[l])
              .described({"teacher", "1", hidden_ ? "y = T_1^T a(T_0^T x), a the activation" : "y = T^T x"}));
    }
    return arrays;
  }

  void restore_data(std::span<const NamedArray> arrays) override {
    Task::restore_data(arrays);
    teacher_.clear();
    for (std::size_t l = 0; l < depth(); ++l)
      teacher_.push_back(to_tensor(find_array(arrays, matrix_name("teacher", l))));
  }

  /// L_gen = |D|^2 / d_out, and the accuracy of Gaussian errors of that variance (Eq. 10 and 13).
  std::optional<std::pair<double, double>> exact_test_score() const override {
    if (n_test_ > 0) return std::nullopt;
    const auto error = model().parameters[0].value.detach().to(at::kCPU, at::kDouble).t() - teacher_[0];
    const double loss = error.square().sum().item<double>() / outputs();
    return std::pair{loss, levi::accuracy_at_loss(loss, tolerance_, outputs())};
  }

  std::vector<Result> results(const TrainingOptions& training, const History& history) const override {
    const auto measured = measured_times(history, threshold());
    std::vector<Result> results{
        {"threshold_loss",
         {threshold()},
         {"loss that counts as learned", "loss",
          "where Gaussian errors have an accuracy of Erf(sqrt 2) = .9545: tolerance / 4 for one output"}}};
    add_times(results, "", "", measured,
              {"measured", "step", "first evaluation with loss <= threshold_loss; NaN: never"});
    results.push_back({"delay", {measured.test - measured.train}, {"delay", "step", "t_gen - t_train"}});
    const auto inputs = data_.train.inputs.to(at::kCPU, at::kDouble);
    const auto [nu, vectors] = at::linalg_eigh(inputs.t().mm(inputs) / static_cast<double>(n_train_), "U");
    if (!hidden_) {
      add_own_prediction(dynamics(training, nu, vectors, student_, teacher_[0]), measured, history,
                         results);
      add_limit(training, mean_dynamics(training, nu, vectors), measured, history, results);
    }
    add_spectrum(to_vector(nu.flip(0)), results);
    return results;
  }

 private:
  std::size_t depth() const { return hidden_ ? 2 : 1; }
  double outputs() const { return static_cast<double>(d_out_); }
  double lambda() const { return static_cast<double>(d_in_) / static_cast<double>(n_train_); }
  double threshold() const { return levi::threshold_loss(tolerance_, outputs()); }

  /// "teacher" for a network of one matrix, else "teacher_0", "teacher_1".
  std::string matrix_name(const std::string& network, std::size_t layer) const {
    return hidden_ ? fmt::format("{}_{}", network, layer) : network;
  }

  /// The matrices of a network, [d_(l-1), d_l] with entries N(0, 1/(2 d_(l-1) d_l)).
  std::vector<at::Tensor> draw(const std::string& network, std::uint64_t seed) const {
    std::vector<std::int64_t> widths{d_in_};
    if (hidden_) widths.push_back(*hidden_);
    widths.push_back(d_out_);
    std::vector<at::Tensor> matrices;
    for (std::size_t l = 0; l + 1 < widths.size(); ++l) {
      const double std =
          1 / std::sqrt(2.0 * static_cast<double>(widths[l]) * static_cast<double>(widths[l + 1]));
      matrices.push_back(std * gaussian_matrix(widths[l], widths[l + 1], seed, matrix_name(network, l)));
    }
    return matrices;
  }

  Dataset answered_by_teacher(std::int64_t n, std::uint64_t seed, const std::string& stream,
                              std::int64_t first_id) const {
    auto examples = teacher_examples({d_in_, teacher_[0].size(1), n}, teacher_[0], seed, stream, first_id);
    if (hidden_) examples.targets = activate(examples.targets, activation_).matmul(teacher_[1]);
    return examples;
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
    return {to_vector(nu),
            to_vector(error.square().sum(1)),
            to_vector((error * target).sum(1)),
            to_vector(target.square().sum(1)),
            training.lr,
            training.weight_decay,
            outputs()};
  }

  /// Losses averaged over independent students and teachers on the same inputs.
  levi::Dynamics mean_dynamics(const TrainingOptions& training, const at::Tensor& nu,
                               const at::Tensor& vectors) const {
    levi::Dynamics mean;
    for (std::int64_t k = 0; k < draws_; ++k) {
      const auto seed = static_cast<std::uint64_t>(training.seed) + 1000 * static_cast<std::uint64_t>(k + 1);
      const auto one =
          dynamics(training, nu, vectors, init_scale_ * draw("student", seed)[0], draw("teacher", seed)[0]);
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

  static levi::Times over(const levi::Times& a, const levi::Times& b) {
    return {a.train / b.train, a.test / b.test};
  }

  /// Adds the pair of results <prefix>t_train<suffix> and <prefix>t_gen<suffix>.
  static void add_times(std::vector<Result>& results, const std::string& prefix, const std::string& suffix,
                        const levi::Times& times, const Description& d) {
    results.push_back({prefix + "t_train" + suffix,
                       {times.train},
                       {"memorisation time, " + d.long_name, d.units, d.definition}});
    results.push_back({prefix + "t_gen" + suffix,
                       {times.test},
                       {"generalisation time, " + d.long_name, d.units, d.definition}});
  }

  /// What this very draw must do.
  void add_own_prediction(const levi::Dynamics& own, const levi::Times& measured, const History& history,
                          std::vector<Result>& results) const {
    const auto last = history.step.empty() ? 0 : history.step.back();
    const auto times = levi::crossing_times(own, threshold(), last);
    const auto end = own.at(static_cast<double>(last));
    const auto& e = history.evaluations.back();
    add_times(
        results, "closed_form_", "", times,
        {"in closed form", "step", "first step with loss <= threshold_loss for this very draw; NaN: never"});
    add_times(results, "", "_error",
              {std::abs(measured.train - times.train), std::abs(measured.test - times.test)},
              {"error", "step", "|measured - closed form|"});
    const auto add = [&](const char* split, double measured_loss, double expected) {
      results.push_back(
          {fmt::format("final_{}_loss_relative_error", split),
           {std::abs(measured_loss / expected - 1)},
           {fmt::format("error of the final {} loss", split), "1", "|measured / closed form - 1|"}});
    };
    add("train", e.train_loss, end.train);
    add("test", e.test_loss, end.test);
  }

  /// What draws do on average, for these inputs and in the limit of large d_in.
  void add_limit(const TrainingOptions& training, const levi::Dynamics& mean, const levi::Times& measured,
                 const History& history, std::vector<Result>& results) const {
    const auto last = history.step.empty() ? 0 : history.step.back();
    const levi::Limit limit{lambda(), training.lr, training.weight_decay, outputs(), init_scale_};
    const auto times = levi::crossing_times(limit, threshold(), 10 * last + 10);
    const auto end = limit.at(static_cast<double>(last));
    const auto& e = history.evaluations.back();
    add_times(results, "marchenko_pastur_", "", times,
              {"of Marchenko-Pastur", "step",
               "first step with loss <= threshold_loss in the limit of large d; NaN: never"});
    results.push_back({"marchenko_pastur_delay",
                       {times.test - times.train},
                       {"delay of Marchenko-Pastur", "step", "t_gen - t_train"}});
    if (lambda() < 1) {
      results.push_back({"leading_order_delay",
                         {levi::leading_order_delay(lambda(), training.lr / outputs())},
                         {"delay for eps -> 0", "step",
                          "d_out ln(1/(1-sqrt(lambda))) / (2 lr (1-sqrt(lambda))^2), Eq. 12"}});
    }
    add_times(results, "", "_ratio", over(measured, times), {"ratio", "1", "measured / Marchenko-Pastur"});
    add_times(
        results, "mean_over_draws_", "_ratio",
        over(levi::crossing_times(mean, threshold(), 10 * last + 10), times),
        {"ratio of the mean over draws", "1",
         "closed form of the losses averaged over data.draws students and teachers / Marchenko-Pastur"});
    const Description ratio{"final loss, ratio", "1",
                            "measured / expectation over Marchenko-Pastur at the last step"};
    results.push_back({"final_train_loss_ratio", {e.train_loss / end.train}, ratio});
    results.push_back({"final_test_loss_ratio", {e.test_loss / end.test}, ratio});
  }

  /// The eigenvalues of Sigma = X^T X / N against the Marchenko-Pastur law of ratio lambda.
  void add_spectrum(const std::vector<double>& nu, std::vector<Result>& results) const {
    results.push_back({"lambda", {lambda()}, {"lambda", "1", "d_in / N"}});
    results.push_back(
        {"sigma_eigenvalues", nu, {"eigenvalues of Sigma", "1", "Sigma = X^T X / N, descending"}});
    results.push_back({"sigma_distance_to_marchenko_pastur",
                       {levi::distance_to_marchenko_pastur(nu, lambda())},
                       {"distance to Marchenko-Pastur", "1",
                        "largest difference of the distribution functions of Sigma's non-zero eigenvalues"}});
    const double low = std::pow(1 - std::sqrt(lambda()), 2), high = std::pow(1 + std::sqrt(lambda()), 2);
    std::vector<double> centre, expected;
    for (std::size_t cell = 0; cell < kDensityCells; ++cell) {
      centre.push_back(low +
                       (high - low) * (static_cast<double>(cell) + 0.5) / static_cast<double>(kDensityCells));
      expected.push_back(levi::marchenko_pastur_density(lambda(), centre.back()));
    }
    results.push_back({"sigma_density_nu", centre, {"eigenvalue of Sigma", "1", "middle of each cell"}});
    results.push_back(
        {"sigma_density",
         levi::empirical_density(nu, low, high, kDensityCells),
         {"density of Sigma's eigenvalues", "1", "share of the eigenvalues in a cell / its width"},
         "sigma_density_nu"});
    results.push_back({"marchenko_pastur_density",
                       expected,
                       {"Marchenko-Pastur density", "1", "sqrt((nu+ - nu)(nu - nu-)) / (2 pi lambda nu)"},
                       "sigma_density_nu"});
    add_moments(nu, results);
  }

  void add_moments(const std::vector<double>& nu, std::vector<Result>& results) const {
    std::vector<double> orders, moments, law;
    for (int k = 1; k <= kMoments; ++k) {
      double sum = 0;
      for (const double x : nu) sum += std::pow(x, k);
      orders.push_back(k);
      moments.push_back(sum / static_cast<double>(nu.size()));
      law.push_back(levi::marchenko_pastur_moment(lambda(), k));
      results.push_back(
          {fmt::format("sigma_moment_{}_ratio", k),
           {moments.back() / law.back()},
           {fmt::format("moment {} of Sigma, ratio", k), "1", "sigma_moments / marchenko_pastur_moments"}});
    }
    results.push_back({"moment_orders", orders, {"order of a moment", "1", "k"}});
    results.push_back({"sigma_moments", moments, {"moments of Sigma's spectrum", "1", "mean of nu^k"}, "moment_orders"});
    results.push_back(
        {"marchenko_pastur_moments",
         law,
         {"moments of Marchenko-Pastur", "1", "sum over r < k of lambda^r / (r+1) binom(k,r) binom(k-1,r)"},
         "moment_orders"});
  }

  std::int64_t d_in_ = 1000;
  std::int64_t d_out_ = 1;
  std::int64_t n_train_ = 1111;
  std::int64_t n_test_ = 0;
  std::int64_t draws_ = 20;
  double tolerance_ = 1e-3;
  std::optional<std::int64_t> hidden_;
  std::string activation_ = "identity";
  double init_scale_ = 1;
  std::vector<at::Tensor> teacher_;  ///< one matrix or two
  at::Tensor student_;  ///< as training starts from it, [d_in, d_out]; of one matrix only
};

}  // namespace

Experiment levi_linear() {
  return {levi_info(), [] { return std::make_unique<LeviLinear>(); }};
}

}  // namespace grokscope
