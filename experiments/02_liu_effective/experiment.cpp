#include "experiments/02_liu_effective/experiment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/random.hpp"
#include "data/teacher_student.hpp"
#include "experiments/02_liu_effective/parallelograms.hpp"
#include "experiments/02_liu_effective/phase.hpp"
#include "nn/embedding_mlp.hpp"

namespace grokscope {
namespace {

/// Test pairs of two splits of p = 10 in which no label is unknown to the training set, for runs that differ by their
/// initial values only.
const std::map<std::string, std::vector<std::int64_t>>& fixed_test_pairs() {
  static const std::map<std::string, std::vector<std::int64_t>> pairs{
      {"fixed_a", {0, 3, 0, 4, 0, 7, 1, 8, 1, 9, 2, 6, 4, 8, 5, 6, 6, 6, 7, 9}},
      {"fixed_b", {0, 5, 0, 7, 1, 1, 2, 6, 2, 8, 2, 9, 4, 6, 4, 7, 6, 7, 8, 8}}};
  return pairs;
}

TaskInfo liu_effective_info() {
  return {"02_liu_effective", "Addition with one-dimensional embeddings: four phases of learning",
          "Liu, Kitouni, Nolte, Michaud, Tegmark and Williams 2022, Towards understanding grokking: an effective theory of "
          "representation learning, arXiv 2205.10343",
          "embeddings order themselves into a line at a rate that the training set predicts, before the decoder fits and long "
          "before it generalises; rates and decay decide between comprehension, grokking, memorisation and confusion"};
}

class LiuEffective : public Task {
 public:
  TaskInfo info() const override { return liu_effective_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("p", p_, "numbers 0..p-1; every unordered pair is an example").range(3, 100);
    data.add("n_train", n_train_, "pairs that train; the others test").unit("example").at_least(1);
    data.add("split", split_,
             "random; covering: random, but every sum that only one pair has is in the training set; fixed_a, fixed_b: ten "
             "given test pairs of p = 10")
        .one_of({"random", "covering", "fixed_a", "fixed_b"});
    data.add("task", task_, "regression to a random vector for every sum, or classification of the sum")
        .one_of({"regression", "classification"});
    data.add("d_out", d_out_, "length of the random vectors").at_least(1);
    data.add("seed", data_seed_, "of split and vectors; none: training.seed").at_least(0);
    auto& model = schemas.section("model");
    model.add("d_embedding", d_embedding_, "dimensions of an embedding").at_least(1);
    model.add("hidden", hidden_, "widths of the decoder's hidden layers").at_least(1);
    model.add("activation", activation_, "in the decoder").one_of({"relu", "tanh"});
    model.add("embedding_scale", embedding_scale_, "embeddings start as U(+-1/2) times this").above(0);
    model.add("decoder_scale", decoder_scale_, "factor on the decoder's initial weights and biases").above(0);
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    const auto all = p_ * (p_ + 1) / 2;
    if (n_train_ >= all) {
      problems.add("data.n_train", fmt::format("{} of {} pairs leave none to test", n_train_, all), "", "lower it");
    }
    if (fixed_test_pairs().contains(split_) && (p_ != 10 || n_train_ != 45)) {
      problems.add("data.split", fmt::format("{} is a split of p = 10 into 45 and 10 pairs", split_), "",
                   "use random or covering");
    }
    if (split_ == "covering" && n_train_ < 4) {
      problems.add("data.n_train", "covering puts four pairs into the training set", "", "use at least 4");
    }
  }

  void build_data(const TrainingOptions& training) override {
    const auto pairs = liu::unordered_pairs(p_);
    const auto n = pairs.size(0);
    const Dataset all{pairs.select(1, 0) * p_ + pairs.select(1, 1), pairs, pairs.sum(1)};
    const auto order = at::tensor(training_first(all, seed(training)), at::kLong);
    data_ = {all.select(order.slice(0, 0, n_train_)), all.select(order.slice(0, n_train_, n))};
    derive_equations();
  }

  void restore_data(std::span<const NamedArray> arrays) override {
    Task::restore_data(arrays);
    derive_equations();
  }

  void build_model(const TrainingOptions& training) override {
    const auto labels = 2 * p_ - 1;
    const auto outputs = task_ == "regression" ? d_out_ : labels;
    std::vector<std::int64_t> widths{d_embedding_};
    widths.insert(widths.end(), hidden_.begin(), hidden_.end());
    widths.push_back(outputs);
    auto model = std::make_unique<EmbeddingMlp>(
        EmbeddingMlpShape{p_, {widths, activation_, true}, embedding_scale_, decoder_scale_},
        static_cast<std::uint64_t>(training.seed));
    embeddings_ = &model->embeddings();
    model_ = std::move(model);
    templates_ = gaussian_matrix(labels, d_out_, seed(training), "templates");
    loss_ = task_ == "regression" ? template_mse(templates_, loss_type(training)) : cross_entropy(loss_type(training));
  }

  std::vector<NamedArray> extra_data() const override {
    if (task_ == "classification") return {};
    return {to_named_array("templates", templates_)};
  }

  void observe(const Moment&, const Spread&, Record& record) const override {
    const auto e = embeddings_->value.detach().to(at::kCPU, at::kDouble);
    record.set({"observables/rqi", "representation quality index", "1",
                "share of all equations i+j = m+n for which standardised embeddings have |E_i+E_j-E_m-E_n|^2 < .01"},
               liu::representation_quality(all_rows_, e));
    record.set({"observables/effective_loss", "effective loss", "1",
                "mean over the training equations of |E_i+E_j-E_m-E_n|^2, over sum_k |E_k|^2, standardised embeddings"},
               liu::effective_loss(train_rows_, liu::standardised(e)).item<double>());
    record.set({"observables/embedding_sum", "sum of embeddings", "1", "sum_k E_k, its norm for several dimensions"},
               d_embedding_ == 1 ? e.sum().item<double>() : e.sum(0).norm().item<double>());
    record.set({"observables/embedding_square_sum", "sum of squared embeddings", "1", "sum_k |E_k|^2"},
               e.square().sum().item<double>());
    const auto present = all_rows_.index_select(0, at::nonzero(liu::fulfilled(all_rows_, e)).reshape({-1}));
    record.set({"observables/predicted_acc", "predicted accuracy", "1",
                "share of all pairs that train, or that an equation which the embeddings fulfil links to one that trains"},
               liu::deducible_share(data_.train.inputs, data_.test.inputs, present));
    const auto values = liu::standardised(e).reshape({-1}).contiguous();
    record.set({"observables/embeddings", "standardised embeddings", "1", "mean 0, standard deviation 1 (with p - 1)"},
               std::vector<double>(values.data_ptr<double>(), values.data_ptr<double>() + values.numel()));
  }

  std::vector<Result> results(const TrainingOptions& training, const History& history) const override {
    std::vector<double> train_acc, test_acc;
    for (const auto& e : history.evaluations) train_acc.push_back(e.train_acc), test_acc.push_back(e.test_acc);
    const auto outcome = liu::classify(history.step, train_acc, test_acc);
    const auto& rqi = history.observables.at("rqi");
    const auto test_row = liu::first_at_or_above(test_acc, 0.9);
    const auto rqi_row = liu::first_at_or_above(rqi, 0.95);
    const double rqi_step = rqi_row < rqi.size() ? static_cast<double>(history.step[rqi_row]) : kMissing;
    const auto n_train = static_cast<double>(data_.train.size()), n = n_train + static_cast<double>(data_.test.size());
    const double accuracy = (n_train * train_acc.back() + (n - n_train) * test_acc.back()) / n;
    const double predicted = history.observables.at("predicted_acc").back();
    const auto rates = liu::effective_rates(train_rows_);
    const double rate = rates[2] > 1e-10 ? rates[2] : kMissing;  // 0: more than the line satisfies all equations
    const double n_h = 1 / (rate * embedding_lr(training));
    const auto followed = liu::implied(train_rows_, p_);
    std::vector<Result> results;
    const auto add = [&](const char* name, double value, const char* units, const char* definition) {
      results.push_back({name, {value}, {name, units, definition}});
    };
    add("train_90_step", outcome.train_step, "step", "first evaluation with training accuracy at .9; NaN: never");
    add("test_90_step", outcome.test_step, "step", "first evaluation with test accuracy at .9; NaN: never");
    add("delay", outcome.delay, "step", "test_90_step - train_90_step");
    add("phase", static_cast<double>(outcome.phase), "1",
        "1 comprehension, 2 grokking (delay of 1,000 steps or more), 3 memorisation, 4 confusion");
    add("rqi_95_step", rqi_step, "step", "first evaluation with RQI at .95; NaN: never");
    add("rqi_lead", outcome.train_step - rqi_step, "step", "train_90_step - rqi_95_step");
    add("rqi_at_test_90", test_row < rqi.size() ? rqi[test_row] : kMissing, "1", "RQI at test_90_step");
    add("rqi_final", rqi.back(), "1", "RQI at the last evaluation");
    add("accuracy", accuracy, "1", "share of all pairs, training and test, answered correctly at the end");
    add("predicted_accuracy", predicted, "1", "observables/predicted_acc at the end");
    add("prediction_error", std::abs(predicted - accuracy), "1", "|predicted_accuracy - accuracy|");
    add("ideal_accuracy", liu::deducible_share(data_.train.inputs, data_.test.inputs, followed), "1",
        "predicted accuracy if the embeddings fulfil exactly what the training equations imply");
    results.push_back({"effective_rates", rates, {"rates of the effective theory", "1/step/lr",
                                                  "eigenvalues, ascending, of (1/Z_0) d^2 l_0 / dE dE, Z_0 = p - 1"}});
    add("lambda_3", rates[2], "1/step/lr", "third of effective_rates: the slowest that brings structure");
    add("n_h", n_h, "step", "1 / (lambda_3 eta), eta the learning rate of the embeddings");
    add("n_h_of_sum", n_h / static_cast<double>(train_rows_.size(0)), "step", "n_h for the loss summed over equations, not averaged");
    return results;
  }

 private:
  std::uint64_t seed(const TrainingOptions& training) const {
    return static_cast<std::uint64_t>(data_seed_.value_or(training.seed));
  }

  void derive_equations() {
    all_rows_ = liu::equations(liu::unordered_pairs(p_), p_);
    train_rows_ = liu::equations(data_.train.inputs, p_);
  }

  /// Positions of all pairs, those that train first.
  std::vector<std::int64_t> training_first(const Dataset& all, std::uint64_t seed) const {
    auto order = random_permutation(all.size(), RandomStream(seed, "split"));
    const auto move_to = [&](auto is_first) { std::stable_partition(order.begin(), order.end(), is_first); };
    if (split_ == "covering") {  // the sums 0, 1, 2p-3 and 2p-2
      move_to([&](std::int64_t k) {
        const auto sum = all.targets[k].item<std::int64_t>();
        return sum <= 1 || sum >= 2 * p_ - 3;
      });
    } else if (split_ != "random") {
      const auto& test = fixed_test_pairs().at(split_);
      move_to([&](std::int64_t k) {
        const auto id = all.ids[k].item<std::int64_t>();
        for (std::size_t t = 0; t < test.size(); t += 2) {
          if (test[t] * p_ + test[t + 1] == id) return false;
        }
        return true;
      });
    }
    return order;
  }

  /// The rate that the optimizer gives to the embeddings.
  double embedding_lr(const TrainingOptions& training) const {
    for (const auto& group : training.parameter_groups) {
      if (embeddings_->name.find(group.match) != std::string::npos) return group.lr.value_or(training.lr);
    }
    return training.lr;
  }

  std::int64_t p_ = 10;
  std::int64_t n_train_ = 45;
  std::string split_ = "random";
  std::string task_ = "regression";
  std::int64_t d_out_ = 30;
  std::optional<std::int64_t> data_seed_;
  std::int64_t d_embedding_ = 1;
  std::vector<std::int64_t> hidden_{200, 200};
  std::string activation_ = "tanh";
  double embedding_scale_ = 1;
  double decoder_scale_ = 1;
  at::Tensor templates_;
  at::Tensor all_rows_;
  at::Tensor train_rows_;
  const Parameter* embeddings_ = nullptr;
};

}  // namespace

Experiment liu_effective() {
  return {liu_effective_info(), [] { return std::make_unique<LiuEffective>(); }};
}

}  // namespace grokscope
