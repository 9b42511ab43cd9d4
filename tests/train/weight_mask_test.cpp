// Are exactly the promised entries kept, and do the others stay zero whatever optimizer trains?
#include "train/weight_mask.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/dataset.hpp"
#include "nn/linear_model.hpp"
#include "train/trainer.hpp"

namespace grokscope {
namespace {

ParameterSet two_parameters() {
  ParameterSet set;
  set.add("in.weight", "in", at::tensor({1.0, -8.0, 3.0, -4.0, 5.0, 6.0}, at::kDouble).view({2, 3}));
  set.add("out.weight", "out", at::tensor({0.5, -7.0, 0.25, 2.0}, at::kDouble).view({1, 4}));
  return set;
}

std::vector<NamedArray> magnitudes_of(const ParameterSet& set) {
  std::vector<NamedArray> arrays;
  for (const auto& p : set.all()) arrays.push_back(to_named_array("parameters/" + p.name, p.value));
  return arrays;
}

MaskOptions mask_options(double keep, const std::string& scope, const std::string& kind = "magnitude") {
  MaskOptions options;
  options.keep = keep;
  options.scope = scope;
  options.kind = kind;
  return options;
}

std::vector<std::int64_t> flat_mask(const std::vector<at::Tensor>& mask) {
  std::vector<std::int64_t> flat;
  for (const auto& part : mask) {
    for (std::int64_t i = 0; i < part.numel(); ++i) flat.push_back(part.view({-1})[i].item<std::int64_t>());
  }
  return flat;
}

std::vector<std::int64_t> kept_counts(const std::vector<at::Tensor>& mask) {
  std::vector<std::int64_t> counts;
  for (const auto& part : mask) counts.push_back(part.sum().item<std::int64_t>());
  return counts;
}

ParameterSet large_parameters() {
  ParameterSet set;
  set.add("a", "a", normal_init({30, 10}, 1, 1, "a"));
  set.add("b", "b", normal_init({700, 1}, 0.5, 1, "b"));
  return set;
}

TEST(WeightMask, TheLargestOfAllParametersTogether) {
  const auto set = two_parameters();
  const auto mask = make_mask(mask_options(0.5, "global"), set, magnitudes_of(set), 0);
  EXPECT_EQ(flat_mask(mask), (std::vector<std::int64_t>{0, 1, 0, 1, 1, 1, 0, 1, 0, 0}));
  EXPECT_EQ(mask[0].sizes().vec(), (std::vector<std::int64_t>{2, 3}));
}

TEST(WeightMask, TheLargestOfEachParameter) {
  const auto set = two_parameters();
  const auto mask = make_mask(mask_options(0.5, "parameter"), set, magnitudes_of(set), 0);
  EXPECT_EQ(flat_mask(mask), (std::vector<std::int64_t>{0, 1, 0, 0, 1, 1, 0, 1, 0, 1}));
}

TEST(WeightMask, OnlyTheNamedParameters) {
  const auto set = two_parameters();
  auto options = mask_options(0.25, "global");
  options.parameters.names = {"out.weight"};
  EXPECT_EQ(flat_mask(make_mask(options, set, magnitudes_of(set), 0)),
            (std::vector<std::int64_t>{1, 1, 1, 1, 1, 1, 0, 1, 0, 0}));
  options.parameters.names = {"out"};
  EXPECT_THROW(make_mask(options, set, magnitudes_of(set), 0), UserError);
}

TEST(WeightMask, OfEqualEntriesTheEarlierIsDropped) {
  ParameterSet set;
  set.add("a", "a", at::ones({5, 1}, at::kDouble));
  EXPECT_EQ(flat_mask(make_mask(mask_options(0.4, "global"), set, magnitudes_of(set), 0)),
            (std::vector<std::int64_t>{0, 0, 0, 1, 1}));
}

TEST(WeightMask, TheKeptShareIsExact) {
  const auto set = large_parameters();
  const auto magnitudes = magnitudes_of(set);
  const std::vector<std::pair<double, std::int64_t>> expected{{0.1, 100}, {0.19, 190}, {0.3, 300}, {0.4, 400},
                                                              {0.9, 900}, {1, 1000},   {0.0004, 1}};
  for (const auto& [keep, count] : expected) {
    for (const auto* kind : {"magnitude", "random"}) {
      const auto counts = kept_counts(make_mask(mask_options(keep, "global", kind), set, magnitudes, 3));
      EXPECT_EQ(counts[0] + counts[1], count) << kind << " " << keep;
    }
  }
  EXPECT_EQ(kept_counts(make_mask(mask_options(0.4, "parameter"), set, magnitudes, 3)),
            (std::vector<std::int64_t>{120, 280}));
}

TEST(WeightMask, RandomOnesHaveTheShareOfTheMagnitudeMaskInEachParameter) {
  const auto set = large_parameters();
  const auto magnitudes = magnitudes_of(set);
  const auto largest = make_mask(mask_options(0.4, "global"), set, magnitudes, 3);
  const auto random = make_mask(mask_options(0.4, "parameter", "random"), set, magnitudes, 3);
  EXPECT_EQ(kept_counts(random), kept_counts(largest));
  EXPECT_NE(kept_counts(largest), (std::vector<std::int64_t>{120, 280}));  // or the scope would not matter
  EXPECT_NE(flat_mask(random), flat_mask(largest));
  const auto other = make_mask(mask_options(0.4, "parameter", "random"), set, magnitudes, 4);
  EXPECT_NE(flat_mask(random), flat_mask(other));
  const auto again = make_mask(mask_options(0.4, "parameter", "random"), set, magnitudes, 3);
  EXPECT_EQ(flat_mask(random), flat_mask(again));
}

double norm(const at::Tensor& values, const std::string& kind) {
  return kind == "l1" ? values.abs().sum().item<double>() : values.norm().item<double>();
}

TEST(WeightMask, TheScaledStartHasTheNormOfTheMaskedOne) {
  for (const auto* scope : {"global", "parameter"}) {
    for (const auto* kind : {"l1", "l2"}) {
      const auto dense = large_parameters(), masked = large_parameters(), scaled = large_parameters();
      auto options = mask_options(0.3, scope);
      options.match_norm = kind;
      const auto mask = make_mask(options, dense, magnitudes_of(dense), 0);
      apply_mask(mask, masked);
      match_norm(options, mask, scaled);
      EXPECT_NEAR(norm(scaled.flat(), kind), norm(masked.flat(), kind), 1e-10 * norm(masked.flat(), kind));
      EXPECT_LT(norm(scaled.flat(), kind), 0.99 * norm(dense.flat(), kind));
      const auto factors = scaled.flat() / dense.flat();
      const bool one_factor = (factors.max() - factors.min()).item<double>() < 1e-12;
      EXPECT_EQ(one_factor, std::string(scope) == "global");
      if (std::string(scope) == "global") continue;
      for (std::size_t k = 0; k < 2; ++k) {
        EXPECT_NEAR(norm(scaled[k].value, kind), norm(masked[k].value, kind),
                    1e-10 * norm(dense.flat(), kind));
      }
    }
  }
}

/// Regression on the columns `columns` of fixed data, from a fixed start.
class Regression : public Task {
 public:
  explicit Regression(const at::Tensor& columns) {
    const auto inputs = normal_init({15, 6}, 1, 2, "x");
    const auto start = normal_init({2, 6}, 0.5, 1, "S");
    data_.train = {at::arange(15, at::kLong), inputs.index_select(1, columns),
                   normal_init({15, 2}, 1, 2, "y")};
    data_.test = data_.train.rows({0, 0});
    model_ = std::make_unique<LinearModel>(start.index_select(1, columns));
    loss_ = regression_mse(1e-3);
  }
  TaskInfo info() const override { return {}; }
  void declare(Schemas&) override {}
  void build_data(const TrainingOptions&) override {}
  void build_model(const TrainingOptions&) override {}
};

TrainingOptions with_optimizer(const std::string& name) {
  TrainingOptions options;
  options.optimizer = name;
  options.dtype = "float64";
  options.lr = 0.05;
  options.weight_decay = 0.3;
  options.momentum = name == "sgd" ? 0.8 : 0;
  options.clip_norm = 0.7;
  options.epochs = 40;
  return options;
}

at::Tensor trained(const Communicator& comm, Task& task, const TrainingOptions& options,
                   std::vector<at::Tensor> mask) {
  TimerTree timers;
  const StopFlag stop;
  Trainer trainer(comm, task, options, timers);
  if (!mask.empty()) trainer.set_mask(std::move(mask));
  for (int s = 0; s < 40; ++s) {
    trainer.backward(Taping::off, stop);
    trainer.update();
  }
  for (const auto& array : trainer.state()) {
    if (!array.name.starts_with("optimizer/exp") && !array.name.starts_with("optimizer/momentum")) continue;
    const auto state = to_tensor(array);
    if (state.size(1) < 6) continue;
    EXPECT_EQ(state.select(1, 1).abs().max().item<double>(), 0) << array.name;
  }
  return task.model().parameters[0].value.detach().clone();
}

TEST(WeightMask, AMaskedModelTrainsAsTheModelWithoutThoseInputs) {
  auto comm = Communicator::duplicate(MPI_COMM_WORLD);
  const auto kept = at::tensor({0, 2, 3, 5}, at::kLong);
  for (const auto* optimizer : {"sgd", "adam", "adamw"}) {
    const auto options = with_optimizer(optimizer);
    Regression smaller(kept), masked(at::arange(6, at::kLong));
    auto mask = at::zeros({2, 6}, at::kByte);
    mask.index_fill_(1, kept, 1);
    apply_mask(std::vector{mask}, masked.model().parameters);
    const auto expected = trained(comm, smaller, options, {});
    const auto found = trained(comm, masked, options, {mask});
    EXPECT_LT((found.index_select(1, kept) - expected).abs().max().item<double>(), 1e-12) << optimizer;
    for (const std::int64_t column : {1, 4}) {
      EXPECT_TRUE(found.select(1, column).eq(0).all().item<bool>()) << optimizer;
    }
    EXPECT_GT((found - normal_init({2, 6}, 0.5, 1, "S")).index_select(1, kept).abs().min().item<double>(),
              1e-3);
  }
  comm.free();
}

}  // namespace
}  // namespace grokscope
