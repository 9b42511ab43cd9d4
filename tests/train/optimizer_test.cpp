// Every update rule against its formula written out by hand, and state that goes on bit by bit.
#include "train/optimizer.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace grokscope {
namespace {

/// The rule written again, for one flat vector of float64 numbers.
struct HandWritten {
  TrainingOptions options;
  at::Tensor theta, velocity, m, v;

  void update(at::Tensor g, std::int64_t step) {
    const double warmup =
        options.warmup_steps > 0
            ? std::min(1.0, static_cast<double>(step) / static_cast<double>(options.warmup_steps))
            : 1;
    const double lr = options.lr * warmup, decay = options.weight_decay;
    const auto t = static_cast<double>(step + 1);
    if (options.optimizer != "adamw") g = g + decay * theta;
    if (options.optimizer == "sgd") {
      velocity = step == 0 ? g : options.momentum * velocity + g;
      theta = theta - lr * (options.momentum > 0 ? velocity : g);
      return;
    }
    if (options.optimizer == "adamw") theta = theta - lr * decay * theta;
    const double b1 = options.betas[0], b2 = options.betas[1];
    m = (step == 0 ? at::zeros_like(g) : m) * b1 + (1 - b1) * g;
    v = (step == 0 ? at::zeros_like(g) : v) * b2 + (1 - b2) * g * g;
    const auto m_hat = m / (1 - std::pow(b1, t)), v_hat = v / (1 - std::pow(b2, t));
    theta = theta - lr * m_hat / (v_hat.sqrt() + options.eps);
  }
};

ParameterSet two_parameters() {
  ParameterSet set;
  set.add("in.weight", "in", normal_init({3, 4}, 1, 1, "in"));
  set.add("out.weight", "out", normal_init({2, 3}, 1, 1, "out"));
  return set;
}

/// Gradients that depend on the parameters, as a loss's do, and on the step.
std::vector<at::Tensor> gradients(const ParameterSet& set, std::int64_t step) {
  std::vector<at::Tensor> result;
  for (const auto& p : set.all()) result.push_back(at::sin(p.value.detach() * 3 + static_cast<double>(step)));
  return result;
}

at::Tensor flatten(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> parts;
  for (const auto& t : tensors) parts.push_back(t.reshape({-1}));
  return at::cat(parts);
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

void expect_twelve_equal_steps(const TrainingOptions& options) {
  auto set = two_parameters();
  Optimizer optimizer(set, options);
  HandWritten expected{options, set.flat(), {}, {}, {}};
  for (std::int64_t step = 0; step < 12; ++step) {
    const auto g = gradients(set, step);
    expected.update(flatten(g), step);
    optimizer.update(g, step);
    ASSERT_LT(distance(set.flat(), expected.theta), 1e-13) << options.optimizer << " step " << step;
  }
  EXPECT_GT(distance(set.flat(), two_parameters().flat()), 1e-3) << "nothing moved";
}

TrainingOptions rule(const std::string& name, double weight_decay) {
  TrainingOptions o;
  o.optimizer = name;
  o.lr = 0.03;
  o.weight_decay = weight_decay;
  o.betas = {0.8, 0.95};
  o.eps = 1e-3;
  return o;
}

TEST(Optimizer, Sgd) {
  expect_twelve_equal_steps(rule("sgd", 0));
  expect_twelve_equal_steps(rule("sgd", 0.7));
}

TEST(Optimizer, SgdWithMomentum) {
  for (const double decay : {0.0, 0.7}) {
    auto o = rule("sgd", decay);
    o.momentum = 0.9;
    expect_twelve_equal_steps(o);
  }
}

TEST(Optimizer, AdamDecaysThroughTheGradient) {
  expect_twelve_equal_steps(rule("adam", 0));
  expect_twelve_equal_steps(rule("adam", 0.7));
}

TEST(Optimizer, AdamWDecaysApartFromTheGradient) {
  expect_twelve_equal_steps(rule("adamw", 0));
  expect_twelve_equal_steps(rule("adamw", 0.7));
}

TEST(Optimizer, AdamAndAdamWDifferOnlyByDecay) {
  const auto after_three = [](const std::string& name, double decay) {
    auto set = two_parameters();
    Optimizer optimizer(set, rule(name, decay));
    for (std::int64_t step = 0; step < 3; ++step) optimizer.update(gradients(set, step), step);
    return set.flat();
  };
  EXPECT_LT(distance(after_three("adam", 0), after_three("adamw", 0)), 1e-14);
  EXPECT_GT(distance(after_three("adam", 0.7), after_three("adamw", 0.7)), 1e-2);
}

TEST(Optimizer, WarmUpBeginsWithNoMoveAtAll) {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    auto o = rule(name, 0.7);
    o.warmup_steps = 4;
    auto set = two_parameters();
    const auto before = set.flat();
    Optimizer optimizer(set, o);
    optimizer.update(gradients(set, 0), 0);
    EXPECT_TRUE(set.flat().equal(before)) << name;
    optimizer.update(gradients(set, 1), 1);
    EXPECT_FALSE(set.flat().equal(before)) << name;
    expect_twelve_equal_steps(o);
  }
}

TEST(Optimizer, GroupsHaveTheirOwnRates) {
  auto o = rule("sgd", 0.1);
  o.parameter_groups = {{"out", 0.5, std::nullopt}, {"in", std::nullopt, 0.0}};
  auto set = two_parameters();
  const auto before = set.flat();
  Optimizer optimizer(set, o);
  const auto g = gradients(set, 0);
  optimizer.update(g, 0);
  const auto in = before.slice(0, 0, 12) - 0.03 * g[0].reshape({-1});
  const auto out = before.slice(0, 12) - 0.5 * (g[1].reshape({-1}) + 0.1 * before.slice(0, 12));
  EXPECT_LT(distance(set.flat(), at::cat({in, out})), 1e-15);
}

TEST(Optimizer, WarmUpScalesTheRatesOfGroupsToo) {
  auto o = rule("sgd", 0);
  o.parameter_groups = {{"out", 0.5, std::nullopt}};
  o.warmup_steps = 10;
  auto set = two_parameters();
  const auto before = set.flat();
  Optimizer optimizer(set, o);
  const auto g = gradients(set, 0);
  optimizer.update(g, 3);
  const auto expected = before - 0.3 * at::cat({0.03 * g[0].reshape({-1}), 0.5 * g[1].reshape({-1})});
  EXPECT_LT(distance(set.flat(), expected), 1e-15);
}

TEST(Optimizer, TheFirstMatchingGroupCounts) {
  auto o = rule("sgd", 0);
  o.parameter_groups = {{"out", 0.0, std::nullopt}, {"weight", 1.0, std::nullopt}};
  auto set = two_parameters();
  const auto before = set.flat();
  Optimizer optimizer(set, o);
  const auto g = gradients(set, 0);
  optimizer.update(g, 0);
  EXPECT_TRUE(set.flat().slice(0, 12).equal(before.slice(0, 12)));
  EXPECT_LT(distance(set.flat().slice(0, 0, 12), before.slice(0, 0, 12) - g[0].reshape({-1})), 1e-15);
}

TEST(Optimizer, AGroupThatHoldsNoParameterIsAnError) {
  auto set = two_parameters();
  for (const char* match : {"embeding", "out"}) {  // misspelt; all of them in an earlier group
    auto o = rule("sgd", 0);
    o.parameter_groups = {{"out.weight", 0.5, std::nullopt}, {match, 0.1, std::nullopt}};
    try {
      Optimizer optimizer(set, o);
      FAIL() << match;
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find(std::string("'") + match + "'"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("in.weight out.weight"), std::string::npos) << error.what();
      EXPECT_TRUE(error.on_all_ranks());
    }
  }
}

TEST(Optimizer, ClippingShortensOnlyLongGradients) {
  auto o = rule("sgd", 0);
  auto set = two_parameters();
  const auto g = gradients(set, 0);
  const auto flat = flatten(g);
  const double norm = flat.norm().item<double>();
  for (const double limit : {norm / 2, norm * 2}) {
    auto moved = two_parameters();
    o.clip_norm = limit;
    const auto before = moved.flat();
    Optimizer optimizer(moved, o);
    optimizer.update(g, 0);
    const double factor = std::min(1.0, limit / (norm + 1e-6));
    EXPECT_LT(distance(moved.flat(), before - o.lr * factor * flat), 1e-15);
    EXPECT_NEAR((moved.flat() - before).norm().item<double>(), o.lr * std::min(norm, limit), 1e-6 * norm);
  }
}

TEST(Optimizer, SavedStateGoesOnBitForBit) {
  for (const char* name : {"sgd", "momentum", "adam", "adamw"}) {
    auto o = rule(std::string(name) == "momentum" ? "sgd" : name, 0.3);
    if (std::string(name) == "momentum") o.momentum = 0.9;
    o.warmup_steps = 3;
    auto whole = two_parameters();
    Optimizer first(whole, o);
    for (std::int64_t step = 0; step < 5; ++step) first.update(gradients(whole, step), step);
    const auto arrays = first.state();
    auto resumed = two_parameters();
    resumed.set_flat(whole.flat());
    Optimizer second(resumed, o);
    second.load(arrays);
    for (std::int64_t step = 5; step < 10; ++step) {
      first.update(gradients(whole, step), step);
      second.update(gradients(resumed, step), step);
    }
    EXPECT_TRUE(whole.flat().equal(resumed.flat())) << name;
    const auto forgetful = [&] {
      auto set = two_parameters();
      set.set_flat(whole.flat());
      Optimizer third(set, o);
      third.update(gradients(set, 10), 10);
      return set.flat();
    }();
    first.update(gradients(whole, 10), 10);
    EXPECT_EQ(forgetful.equal(whole.flat()), std::string(name) == "sgd")
        << name << ": is its state used at all?";
  }
}

TEST(Optimizer, StateIsNamedAsCheckpointsPromise) {
  const auto names = [](const TrainingOptions& o) {
    auto set = two_parameters();
    Optimizer optimizer(set, o);
    optimizer.update(gradients(set, 0), 0);
    std::vector<std::string> result;
    for (const auto& array : optimizer.state()) result.push_back(array.name);
    return result;
  };
  EXPECT_TRUE(names(rule("sgd", 0)).empty());
  const std::vector<std::string> adam{"optimizer/exp_avg/in.weight",     "optimizer/exp_avg_sq/in.weight",
                                      "optimizer/step/in.weight",        "optimizer/exp_avg/out.weight",
                                      "optimizer/exp_avg_sq/out.weight", "optimizer/step/out.weight"};
  EXPECT_EQ(names(rule("adam", 0)), adam);
  EXPECT_EQ(names(rule("adamw", 0)), adam);
  auto momentum = rule("sgd", 0);
  momentum.momentum = 0.9;
  EXPECT_EQ(names(momentum),
            (std::vector<std::string>{"optimizer/momentum/in.weight", "optimizer/momentum/out.weight"}));
}

}  // namespace
}  // namespace grokscope
