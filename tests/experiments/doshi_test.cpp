// The analytic weights of paper 08 solve their tasks without training, the corrupted labels are as many as
// asked for, and the decay that the paper's text prints is not the one that its curves have.
#include <gtest/gtest.h>

#include <cmath>

#include "data/modular_arithmetic.hpp"
#include "experiments/08_doshi_polynomials/analytic.hpp"
#include "experiments/08_doshi_polynomials/experiment.hpp"
#include "experiments/08_doshi_polynomials/fourier.hpp"
#include "experiments/task_with.hpp"
#include "train/optimizer.hpp"

namespace grokscope {
namespace {

struct Answers {
  double accuracy = 0;
  double target_logit = 0;  ///< mean over examples
  double other_spread = 0;  ///< standard deviation of the other logits
};

Answers answers(const Model& model, const Dataset& examples) {
  at::NoGradGuard no_grad;
  auto tape = Tape::inactive();
  const auto logits = model.forward(examples.inputs, tape);
  const auto column = examples.targets.unsqueeze(1);
  const auto others = logits.scatter(1, column, 0.0);
  const auto n = static_cast<double>(examples.size()), classes = static_cast<double>(logits.size(1));
  return {logits.argmax(1).eq(examples.targets).to(at::kDouble).mean().item<double>(),
          logits.gather(1, column).mean().item<double>(),
          std::sqrt(others.square().sum().item<double>() / (n * (classes - 1)))};
}

std::unique_ptr<Task> analytic_task(std::map<std::string, std::string> keys, std::int64_t seed) {
  keys["model.init"] = "analytic";
  TrainingOptions training;
  training.seed = seed;
  return task_with(doshi_polynomials(), keys, training);
}

TEST(AnalyticWeights, AddAllPairsWithoutTraining) {
  for (const std::int64_t seed : {0, 1}) {
    const auto task = analytic_task({{"data.operation", "add"}}, seed);
    const auto found = answers(task->model(), modular_table(97, "add"));
    EXPECT_EQ(found.accuracy, 1) << seed;
    EXPECT_NEAR(found.target_logit, 1, 0.02) << seed;
    EXPECT_NEAR(found.other_spread, 2.2 / std::sqrt(500.0), 0.01) << seed;
  }
}

TEST(AnalyticWeights, MultiplyAllPairsWithoutZero) {
  const auto task = analytic_task({{"data.operation", "multiply"}}, 0);
  const auto table = modular_table(97, "multiply");
  const auto rows = (table.inputs.ne(0).sum(1) == 2).nonzero().squeeze(1);
  ASSERT_EQ(rows.size(0), 9216);
  const auto found = answers(task->model(), table.select(rows));
  EXPECT_EQ(found.accuracy, 1);
  EXPECT_NEAR(found.target_logit, 1, 0.02);
}

TEST(AnalyticWeights, AddFourTerms) {
  const auto task = analytic_task({{"data.p", "11"}, {"data.terms", "4"}, {"model.width", "5000"}}, 0);
  EXPECT_EQ(task->model().parameters.total(), 275000);
  EXPECT_EQ(task->data().train.size(), 7320);
  const auto found = answers(task->model(), modular_sums(11, 4));
  EXPECT_GT(found.accuracy, 0.999);
  EXPECT_NEAR(found.target_logit, 1, 0.02);
}

TEST(AnalyticWeights, AddThreeTermsInSmallerNetworks) {
  const auto task = analytic_task({{"data.p", "11"}, {"data.terms", "3"}, {"model.width", "2000"}}, 0);
  const auto found = answers(task->model(), modular_sums(11, 3));
  EXPECT_EQ(found.accuracy, 1);
  EXPECT_NEAR(found.target_logit, 1, 0.02);
}

TEST(AnalyticWeights, AreOneWaveEach) {
  const auto sum = doshi::analytic_sum(97, 40, 2, 3);
  const auto product = doshi::analytic_product(97, 40, 3);
  EXPECT_NEAR(doshi::inverse_participation_ratio(sum.inputs[1]).min().item<double>(), 1, 1e-12);
  const auto sorted = doshi::in_order_of_logarithm(product.output, 97);
  const auto ipr = doshi::inverse_participation_ratio(sorted);
  EXPECT_NEAR(ipr.min().item<double>(), 1, 1e-12);
  EXPECT_LT(doshi::inverse_participation_ratio(product.output).max().item<double>(),
            0.5);  // not a wave in the residues
  EXPECT_EQ(product.output[0].abs().max().item<double>(), 0);
}

TEST(Corruption, ReplacesThatManyTrainingLabelsAndNoTestLabel) {
  const std::map<std::string, std::string> keys{{"data.corruption", "0.35"}};
  const auto clean = task_with(doshi_polynomials(), {}), noisy = task_with(doshi_polynomials(), keys);
  EXPECT_TRUE(clean->data().train.ids.equal(noisy->data().train.ids));
  EXPECT_TRUE(clean->data().test.targets.equal(noisy->data().test.targets));
  const auto changed = clean->data().train.targets.ne(noisy->data().train.targets);
  const auto listed = to_tensor(find_array(noisy->extra_data(), "corrupted_ids"));
  const auto n = listed.size(0);
  EXPECT_EQ(n, static_cast<std::int64_t>(0.35 * 4704));
  EXPECT_EQ(changed.slice(0, n).sum().item<std::int64_t>(), 0);
  // One in 97 stays right by chance: n / 97 = 17 +- 4.
  EXPECT_NEAR(static_cast<double>(n - changed.sum().item<std::int64_t>()), static_cast<double>(n) / 97, 20);
  EXPECT_TRUE(clean->extra_data().empty());
  const auto labels = noisy->data().train.targets.slice(0, 0, n).to(at::kDouble);
  EXPECT_NEAR(labels.mean().item<double>(), 48, 4);
}

/// Loss over the training split after so many full-batch steps of a small network.
double loss_after(const std::string& optimizer, int steps) {
  TrainingOptions training;
  training.optimizer = optimizer;
  training.lr = 0.01;
  training.weight_decay = 5;
  training.betas = {0.9, 0.98};
  const auto task = task_with(doshi_polynomials(), {{"data.p", "23"}, {"model.width", "100"}}, training);
  Optimizer rule(task->model().parameters, training);
  const auto& train = task->data().train;
  const auto n = static_cast<double>(train.size());
  double loss = 0;
  for (int s = 0; s <= steps; ++s) {
    auto pass = backward_pass(task->model(), task->loss(), train.inputs, train.targets, Taping::off);
    loss = pass.loss_sum / n;
    for (auto& g : pass.gradients) g = g / n;
    rule.update(pass.gradients, s);
  }
  return loss;
}

TEST(Decay, CoupledLeavesNothingOfTheWeights) {
  EXPECT_NEAR(loss_after("adam", 300), 1.0 / 23, 0.01 / 23);
  EXPECT_LT(loss_after("adamw", 300), 0.5 / 23);
}

}  // namespace
}  // namespace grokscope
