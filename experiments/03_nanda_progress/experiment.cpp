#include "experiments/03_nanda_progress/experiment.hpp"

#include <fmt/format.h>

#include "data/modular_arithmetic.hpp"
#include "nn/one_layer_transformer.hpp"

namespace grokscope {
namespace {

TaskInfo nanda_info() {
  return {"03_nanda_progress", "One-layer transformer on modular addition, seen through its Fourier modes",
          "Nanda, Chan, Lieberum, Smith and Steinhardt 2023, Progress measures for grokking via mechanistic "
          "interpretability, arXiv 2301.05217",
          "the test loss falls thousands of epochs after the training loss, while a circuit of a few frequencies forms"};
}

class NandaProgress : public Task {
 public:
  TaskInfo info() const override { return nanda_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("p", shape_.p, "modulus").range(2, 100000);
    data.add("operation", operation_, "what is learned").one_of(modular_operations());
    data.add("train_fraction", fraction_, "share of all pairs that train").above(0).below(1);
    auto& model = schemas.section("model");
    model.add("d_model", shape_.d_model, "width of the residual stream").at_least(1);
    model.add("heads", shape_.heads, "attention heads; must divide d_model").at_least(1);
    model.add("d_mlp", shape_.d_mlp, "hidden units of the MLP").at_least(1);
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    if (shape_.d_model % shape_.heads != 0) {
      problems.add("model.heads", fmt::format("{} does not divide d_model = {}", shape_.heads, shape_.d_model),
                   "every head has the same width", "use a divisor");
    }
    if (operation_ == "divide" && !is_prime(shape_.p)) {
      problems.add("data.p", fmt::format("{} is not a prime", shape_.p), "division needs inverses", "use a prime such as 113");
    }
  }

  void build_data(const TrainingOptions& training) override {
    const auto table = modular_table(shape_.p, operation_);
    const auto count = static_cast<std::int64_t>(fraction_ * static_cast<double>(table.size()));
    data_ = split_at_random(table, std::max<std::int64_t>(1, count), static_cast<std::uint64_t>(training.seed));
  }

  void build_model(const TrainingOptions& training) override {
    model_ = std::make_unique<OneLayerTransformer>(shape_, static_cast<std::uint64_t>(training.seed));
    loss_ = cross_entropy(loss_type(training));
  }

 private:
  OneLayerTransformerShape shape_;
  std::string operation_ = "add";
  double fraction_ = 0.3;
};

}  // namespace

Experiment nanda_progress() {
  return {nanda_info(), [] { return std::make_unique<NandaProgress>(); }};
}

}  // namespace grokscope
