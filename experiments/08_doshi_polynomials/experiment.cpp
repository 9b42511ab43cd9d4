#include "experiments/08_doshi_polynomials/experiment.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "base/random.hpp"
#include "data/modular_arithmetic.hpp"
#include "data/table_split.hpp"
#include "experiments/08_doshi_polynomials/analytic.hpp"
#include "experiments/08_doshi_polynomials/fourier.hpp"
#include "nn/power_mlp.hpp"

namespace grokscope {
namespace {

TaskInfo doshi_info() {
  return {"08_doshi_polynomials", "Modular addition and multiplication by a network with power activations",
          "Doshi, He, Das and Gromov 2024, Grokking modular polynomials, arXiv 2406.03495",
          "test accuracy jumps to 1 a few dozen steps after training accuracy, while weights become periodic "
          "(IPR near 1)"};
}

class DoshiPolynomials : public Task {
 public:
  TaskInfo info() const override { return doshi_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("p", p_, "modulus").range(2, 100000);
    data.add("operation", operation_, "what is learned").one_of(modular_operations());
    data.add("terms", terms_, "S: number of residues that are added, and the power; above 2 with add alone")
        .range(2, 8);
    data.add("train_fraction", fraction_, "share of all pairs that train").above(0).below(1);
    data.add("corruption", corruption_, "xi: share of the training labels that are replaced by random ones")
        .at_least(0)
        .at_most(1);
    auto& model = schemas.section("model");
    model.add("width", width_, "hidden units N").at_least(1);
    model.add("init", init_, "random, or the weights that solve add and multiply without training")
        .one_of({"random", "analytic"});
    model.add("init_std", init_std_, "standard deviation of all weights; none: (16 N)^(-1/3)").above(0);
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    if (operation_ == "divide") check_prime(p_, "division needs inverses", 97, problems);
    if (operation_ == "multiply") check_prime(p_, "its residues have no primitive root, which IPR needs", 97, problems);
    if (terms_ > 2 && operation_ != "add") {
      problems.add("data.terms", fmt::format("{} terms with {}", terms_, operation_),
                   "only sums have more than two", "use data.operation: add");
    }
    if (check_table_size(p_, terms_, problems)) {
      const auto n = terms_ == 2 ? modular_table_size(p_, operation_)
                                 : std::llround(std::pow(static_cast<double>(p_), static_cast<double>(terms_)));
      check_split(fraction_, share_of_table(fraction_, n), n, problems);
    }
    if (init_ == "analytic" && operation_ != "add" && operation_ != "multiply") {
      problems.add("model.init", "no analytic weights for " + operation_,
                   "they are known for add and multiply", "use model.init: random");
    }
    if (init_ == "analytic" && p_ < 5) {
      problems.add("data.p", fmt::format("{} has no analytic weights", p_), "there must be a frequency",
                   "use 5 or more");
    }
  }

  void build_data(const TrainingOptions& training) override {
    const auto seed = static_cast<std::uint64_t>(training.seed);
    const auto table = terms_ == 2 ? modular_table(p_, operation_) : modular_sums(p_, terms_);
    data_ = split_at_random(table, share_of_table(fraction_, table.size()), seed);
    corrupt_labels(seed);
  }

  void build_model(const TrainingOptions& training) override {
    const double std = init_std_.value_or(std::pow(16.0 * static_cast<double>(width_), -1.0 / 3));
    const auto seed = static_cast<std::uint64_t>(training.seed);
    model_ = std::make_unique<PowerMlp>(PowerMlpShape{p_, width_, terms_, std}, seed);
    if (init_ == "analytic") set_analytic_weights(seed);
    loss_ = one_hot_mse(loss_type(training));
  }

  void observe(const Moment&, const Spread&, Record& record) const override {
    double sum = 0;
    for (const auto& p : model().parameters.all()) {
      const bool is_product = operation_ == "multiply" || operation_ == "divide";
      const auto table = is_product ? doshi::in_order_of_logarithm(p.value, p_) : p.value;
      const double ipr = doshi::inverse_participation_ratio(table).mean().item<double>();
      sum += ipr;
      record.set(
          {"observables/ipr_" + p.name, "mean IPR of " + p.name, "1",
           "mean over hidden units of (|F u|_4 / |F u|_2)^4, real Fourier magnitudes, constant included"},
          ipr);
    }
    record.set({"observables/ipr", "mean IPR", "1", "mean of the IPR of U_1 .. U_S and W"},
               sum / static_cast<double>(terms_ + 1));
  }

  std::vector<NamedArray> extra_data() const override {
    if (corruption_ == 0) return {};
    return {
        to_named_array("corrupted_ids", corrupted_ids_)
            .described({"ids with random labels", "1", "training examples whose labels were drawn anew"})};
  }

 private:
  /// Replaces the labels of the first training examples, whose order is random, by uniform ones (as in the
  /// authors' code: some of these happen to be right).
  void corrupt_labels(std::uint64_t seed) {
    const auto count = static_cast<std::int64_t>(corruption_ * static_cast<double>(data_.train.size()));
    RandomStream stream(seed, "corruption");
    for (std::int64_t i = 0; i < count; ++i) {
      data_.train.targets[i] = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(p_)));
    }
    corrupted_ids_ = data_.train.ids.slice(0, 0, count);
  }

  void set_analytic_weights(std::uint64_t seed) {
    const auto weights = operation_ == "add" ? doshi::analytic_sum(p_, width_, terms_, seed)
                                             : doshi::analytic_product(p_, width_, seed);
    auto parts = weights.inputs;
    parts.push_back(weights.output);
    for (auto& part : parts) part = part.reshape({-1});
    model().parameters.set_flat(at::cat(parts));
  }

  std::int64_t p_ = 97;
  std::string operation_ = "add";
  std::int64_t terms_ = 2;
  double fraction_ = 0.5;
  double corruption_ = 0;
  at::Tensor corrupted_ids_;
  std::string init_ = "random";
  std::int64_t width_ = 500;
  std::optional<double> init_std_;
};

}  // namespace

Experiment doshi_polynomials() {
  return {doshi_info(), [] { return std::make_unique<DoshiPolynomials>(); }};
}

}  // namespace grokscope
