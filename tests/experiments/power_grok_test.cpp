// The task of paper 01: tokens, splits, parameters, and the score of a row.
#include "experiments/01_power_grok/experiment.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "config/assign.hpp"
#include "config/document.hpp"
#include "experiments/01_power_grok/equations.hpp"

namespace grokscope {
namespace {

using Row = std::vector<std::int64_t>;

Row row_of(const at::Tensor& table, std::int64_t i) {
  const auto row = table[i].contiguous();
  return {row.data_ptr<std::int64_t>(), row.data_ptr<std::int64_t>() + row.numel()};
}

std::unique_ptr<Task> task_of(const std::string& yaml) {
  auto task = power_grok().make();
  Schemas schemas;
  task->declare(schemas);
  assign(parse_document(yaml, "test.yaml"), schemas);
  task->build_data({});
  return task;
}

TEST(Equations, AreTheAuthorsSequences) {
  EXPECT_EQ(power::vocabulary(97), 239);
  const auto divide = power::equations(97, "divide");
  EXPECT_EQ(divide.size(), 9312);
  for (std::int64_t i = 0; i < divide.size(); i += 37) {
    const auto x = row_of(divide.inputs, i), y = row_of(divide.targets, i);
    EXPECT_EQ((Row{x[0], x[2], x[4]}), (Row{power::kEnd, power::operator_token("divide"), power::kEquals}));
    const auto a = x[1] - 22, b = x[3] - 22, c = x[5] - 22;
    EXPECT_EQ(c * b % 97, a);
    EXPECT_NE(b, 0);
    EXPECT_TRUE(0 <= c && c < 97);
    EXPECT_EQ(y, (Row{x[5], power::kEnd}));  // what follows the last two inputs
  }
}

TEST(Equations, EveryOperationHasATokenOfItsOwn) {
  std::set<std::int64_t> tokens;
  for (const auto& operation : power::operations()) {
    const auto table = power::equations(7, operation);
    const auto token = power::operator_token(operation);
    EXPECT_TRUE(table.inputs.select(1, 2).eq(token).all().item<bool>()) << operation;
    EXPECT_GE(token, power::kFirstOperator);
    EXPECT_LT(token, power::kFirstResidue);
    tokens.insert(token);
    const auto operands = at::cat({table.inputs.select(1, 1), table.inputs.select(1, 3), table.inputs.select(1, 5)});
    const bool permutes = power::is_permutation_operation(operation);
    EXPECT_EQ(operands.min().item<std::int64_t>(), permutes ? 29 : 22) << operation;
    EXPECT_EQ(operands.max().item<std::int64_t>(), permutes ? 148 : 28) << operation;
  }
  EXPECT_EQ(tokens.size(), power::operations().size());
  EXPECT_EQ(power::equations(97, "s5_product").size(), 14400);
}

TEST(PowerGrok, SplitsAsTheAuthorsRound) {
  struct Case {
    const char* operation;
    double fraction;
    std::int64_t train, test;
  };
  for (const auto& c : {Case{"divide", 0.5, 4656, 4656}, Case{"add", 0.5, 4704, 4705}, Case{"add", 0.4, 3764, 5645},
                        Case{"s5_product", 0.3, 4320, 10080}}) {
    const auto task = task_of(fmt::format("data: {{operation: {}, train_fraction: {}}}", c.operation, c.fraction));
    EXPECT_EQ(task->data().train.size(), c.train) << c.operation;
    EXPECT_EQ(task->data().test.size(), c.test) << c.operation;
    std::set<Row> prompts;
    for (const auto* split : {&task->data().train, &task->data().test}) {
      for (std::int64_t i = 0; i < split->size(); ++i) {
        const auto x = row_of(split->inputs, i);
        prompts.insert({x[1], x[3]});
      }
    }
    EXPECT_EQ(static_cast<std::int64_t>(prompts.size()), c.train + c.test) << c.operation;  // none twice, none in both
  }
}

TEST(PowerGrok, TheModelIsTheAuthors) {
  const auto task = task_of("{}");
  task->build_model({});
  EXPECT_EQ(task->model().parameters.total(), 455424);
  EXPECT_EQ(task->model().parameters.layers().size(), 18u);
}

TEST(PowerGrok, ARowIsRightWhenAnswerAndEndAre) {
  const auto task = task_of("data: {p: 7, operation: add}");
  TrainingOptions training;
  training.loss_dtype = "float64";
  task->build_model(training);
  const auto y = task->data().train.targets.slice(0, 0, 3);
  auto z = at::zeros({3, 2, power::vocabulary(7)}, at::kDouble);
  z.scatter_(2, y.unsqueeze(2), 4.0);
  z[1][0][1] = 9;  // the answer is wrong
  z[2][1][1] = 9;  // the end is
  EXPECT_TRUE(task->loss().correct(z, y).equal(at::tensor({1, 0, 0}, at::kInt).to(at::kBool)));
  const double others = static_cast<double>(power::vocabulary(7)) - 1;
  const double right = std::log1p(others * std::exp(-4.0)), wrong = std::log(std::exp(4.0) + std::exp(9.0) + others - 1) - 4;
  const auto losses = task->loss().per_example(z, y);
  EXPECT_NEAR(losses[0].item<double>(), right, 1e-12);
  EXPECT_NEAR(losses[1].item<double>(), (right + wrong) / 2, 1e-12);
  EXPECT_NEAR(losses[2].item<double>(), (right + wrong) / 2, 1e-12);
}

TEST(PowerGrok, TheDelayIsTheRatioOfTheFirstCrossings) {
  const auto task = task_of("{}");
  TrainingOptions training;
  training.generalised_at = .99;
  History history;
  history.step = {0, 500, 600, 2000, 3000};
  history.evaluations = {{1, 1, 0, 0}, {1, 1, .99, .2}, {1, 1, .3, .1}, {1, 1, 1, .99}, {1, 1, .5, .4}};
  EXPECT_DOUBLE_EQ(task->results(training, history).at(0).values.at(0), 4);
  history.evaluations[3].test_acc = .98;
  EXPECT_TRUE(std::isnan(task->results(training, history).at(0).values.at(0)));
}

}  // namespace
}  // namespace grokscope
