#include "experiments/08_doshi_polynomials/experiment.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "data/modular_arithmetic.hpp"
#include "experiments/08_doshi_polynomials/fourier.hpp"
#include "nn/power_mlp.hpp"

namespace grokscope {
namespace {

TaskInfo doshi_info() {
  return {"08_doshi_polynomials", "Modular addition and multiplication by a network with power activations",
          "Doshi, He, Das and Gromov 2024, Grokking modular polynomials, arXiv 2406.03495",
          "test accuracy jumps to 1 a few dozen steps after training accuracy, while weights become periodic (IPR near 1)"};
}

class DoshiPolynomials : public Task {
 public:
  TaskInfo info() const override { return doshi_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("p", p_, "modulus").range(2, 100000);
    data.add("operation", operation_, "what is learned").one_of(modular_operations());
    data.add("train_fraction", fraction_, "share of all pairs that train").above(0).below(1);
    auto& model = schemas.section("model");
    model.add("width", width_, "hidden units N").at_least(1);
    model.add("init_std", init_std_, "standard deviation of all weights; none: (16 N)^(-1/3)").above(0);
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    const bool needs_prime = operation_ == "divide" || operation_ == "multiply";
    if (needs_prime && !is_prime(p_)) {
      problems.add("data.p", fmt::format("{} is not a prime", p_),
                   operation_ == "divide" ? "division needs inverses" : "its residues have no primitive root, which IPR needs",
                   "use a prime such as 97");
    }
  }

  void build_data(const TrainingOptions& training) override {
    const auto table = modular_table(p_, operation_);
    const auto count = static_cast<std::int64_t>(fraction_ * static_cast<double>(table.size()));
    data_ = split_at_random(table, std::max<std::int64_t>(1, count), static_cast<std::uint64_t>(training.seed));
  }

  void build_model(const TrainingOptions& training) override {
    const double std = init_std_.value_or(std::pow(16.0 * static_cast<double>(width_), -1.0 / 3));
    model_ = std::make_unique<PowerMlp>(PowerMlpShape{p_, width_, 2, std}, static_cast<std::uint64_t>(training.seed));
    loss_ = one_hot_mse(loss_type(training));
  }

  void observe(const Moment&, const Spread&, Record& record) const override {
    double sum = 0;
    for (const auto& p : model().parameters.all()) {
      const auto table = operation_ == "multiply" ? doshi::in_order_of_logarithm(p.value, p_) : p.value;
      const double ipr = doshi::inverse_participation_ratio(table).mean().item<double>();
      sum += ipr;
      record.set({"observables/ipr_" + p.name, "mean IPR of " + p.name, "1",
                  "mean over hidden units of (|F u|_4 / |F u|_2)^4, real Fourier magnitudes, constant included"}, ipr);
    }
    record.set({"observables/ipr", "mean IPR", "1", "mean of the IPR of U_1, U_2 and W"}, sum / 3);
  }

 private:
  std::int64_t p_ = 97;
  std::string operation_ = "add";
  double fraction_ = 0.5;
  std::int64_t width_ = 500;
  std::optional<double> init_std_;
};

}  // namespace

Experiment doshi_polynomials() {
  return {doshi_info(), [] { return std::make_unique<DoshiPolynomials>(); }};
}

}  // namespace grokscope
