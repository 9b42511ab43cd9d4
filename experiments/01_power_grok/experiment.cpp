#include "experiments/01_power_grok/experiment.hpp"

#include <cmath>

#include "data/modular_arithmetic.hpp"
#include "data/table_split.hpp"
#include "experiments/01_power_grok/equations.hpp"
#include "nn/transformer.hpp"
#include "train/events.hpp"

namespace grokscope {
namespace {

TaskInfo power_info() {
  return {"01_power_grok", "Transformer on the table of a binary operation",
          "Power, Burda, Edwards, Babuschkin and Misra 2022, Grokking: generalization beyond overfitting on small "
          "algorithmic datasets, arXiv 2201.02177",
          "validation accuracy reaches 1 many times later than training accuracy, the later the less data there is"};
}

class PowerGrok : public Task {
 public:
  TaskInfo info() const override { return power_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("p", p_, "modulus; the vocabulary has 142 tokens more").range(2, 100000);
    data.add("operation", operation_, "what is learned").one_of(power::operations());
    data.add("train_fraction", fraction_, "share of all equations that train").above(0).below(1);
    shape_.declare_widths(schemas.section("model"));
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    shape_.check_widths(problems);
    if (operation_ == "divide") check_prime(p_, "division needs inverses", 97, problems);
    if (!power::is_permutation_operation(operation_) && !check_table_size(p_, 2, problems)) return;
    const auto n = power::equation_count(p_, operation_);
    check_split(fraction_, train_count(n), n, problems);
  }

  void build_data(const TrainingOptions& training) override {
    const auto all = power::equations(p_, operation_);
    data_ = split_at_random(all, train_count(all.size()), static_cast<std::uint64_t>(training.seed));
  }

  void build_model(const TrainingOptions& training) override {
    auto shape = shape_;
    shape.vocabulary = power::vocabulary(p_);
    shape.tokens = 6;
    shape.read = {4, 5};
    shape.fixed_tokens = {{0, power::kEnd}, {2, power::operator_token(operation_)}, {4, power::kEquals}};
    model_ = std::make_unique<Transformer>(shape, static_cast<std::uint64_t>(training.seed));
    loss_ = token_cross_entropy(loss_type(training));
  }

  std::vector<Result> results(const TrainingOptions& training, const History& history) const override {
    Events events(training);
    for (std::size_t i = 0; i < history.step.size(); ++i) {
      events.observe({0, history.step[i], 0, false}, history.evaluations[i]);
    }
    const auto step = [](const std::optional<Moment>& m) { return m ? static_cast<double>(m->step) : kMissing; };
    return {{"delay_ratio", {step(events.t_gen()) / step(events.t_mem())},
             {"delay", "1", "step of t_gen / step of t_mem; NaN where one of them never came"}}};
  }

 private:
  /// Half to even, as the authors' code rounds: 4704 of 9409.
  std::int64_t train_count(std::int64_t n) const {
    return static_cast<std::int64_t>(std::nearbyint(fraction_ * static_cast<double>(n)));
  }

  std::int64_t p_ = 97;
  std::string operation_ = "divide";
  double fraction_ = 0.5;
  TransformerShape shape_;  ///< widths only: tokens follow from p and the operation
};

}  // namespace

Experiment power_grok() {
  return {power_info(), [] { return std::make_unique<PowerGrok>(); }};
}

}  // namespace grokscope
