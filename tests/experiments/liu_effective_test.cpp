// Paper 02: equations and embeddings in closed cases, the theory's rates against a Jacobi iteration written here, the four
// phases on hand-made curves, and the sizes that the paper states.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "experiments/02_liu_effective/experiment.hpp"
#include "experiments/02_liu_effective/parallelograms.hpp"
#include "experiments/02_liu_effective/phase.hpp"
#include "nn/parameters.hpp"

namespace grokscope {
namespace {

constexpr double kNever = std::numeric_limits<double>::quiet_NaN();

at::Tensor all_equations(std::int64_t p) { return liu::equations(liu::unordered_pairs(p), p); }

at::Tensor line(std::int64_t p, double shift, double slope) {
  return (shift + slope * at::arange(p, at::kDouble)).unsqueeze(1);
}

at::Tensor pairs_of(std::vector<std::int64_t> values) { return at::tensor(values, at::kLong).view({-1, 2}); }

/// Eigenvalues of a small symmetric matrix by Jacobi rotations, ascending.
std::vector<double> jacobi_eigenvalues(std::vector<std::vector<double>> a) {
  const auto n = a.size();
  for (int sweep = 0; sweep < 60; ++sweep) {
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        if (std::abs(a[p][q]) < 1e-300) continue;
        const double angle = 0.5 * std::atan2(2 * a[p][q], a[q][q] - a[p][p]);
        const double c = std::cos(angle), s = std::sin(angle);
        for (std::size_t k = 0; k < n; ++k) {
          const double x = a[k][p], y = a[k][q];
          a[k][p] = c * x - s * y, a[k][q] = s * x + c * y;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double x = a[p][k], y = a[q][k];
          a[p][k] = c * x - s * y, a[q][k] = s * x + c * y;
        }
      }
    }
  }
  std::vector<double> values;
  for (std::size_t k = 0; k < n; ++k) values.push_back(a[k][k]);
  std::sort(values.begin(), values.end());
  return values;
}

/// H of Eq. 8 by counting: l_0 is the mean over equations of (x_i + x_j - x_m - x_n)^2.
std::vector<std::vector<double>> counted_hessian(const at::Tensor& pairs, std::int64_t p) {
  std::vector<std::vector<double>> h(static_cast<std::size_t>(p), std::vector<double>(static_cast<std::size_t>(p)));
  const auto pair = pairs.accessor<std::int64_t, 2>();
  double count = 0;
  for (std::int64_t a = 0; a < pairs.size(0); ++a) {
    for (std::int64_t b = 0; b < a; ++b) {
      if (pair[a][0] + pair[a][1] != pair[b][0] + pair[b][1]) continue;
      ++count;
      std::vector<double> v(static_cast<std::size_t>(p));
      v[static_cast<std::size_t>(pair[a][0])] += 1, v[static_cast<std::size_t>(pair[a][1])] += 1;
      v[static_cast<std::size_t>(pair[b][0])] -= 1, v[static_cast<std::size_t>(pair[b][1])] -= 1;
      for (std::size_t r = 0; r < v.size(); ++r) {
        for (std::size_t c = 0; c < v.size(); ++c) h[r][c] += 2 * v[r] * v[c];
      }
    }
  }
  for (auto& row : h) {
    for (auto& value : row) value /= count * static_cast<double>(p - 1);
  }
  return h;
}

TEST(Equations, SeventyOfThemForTenNumbers) {
  EXPECT_EQ(liu::unordered_pairs(10).size(0), 55);
  EXPECT_EQ(all_equations(10).size(0), 70);
  const auto rows = all_equations(4);  // 0+2 = 1+1, 0+3 = 1+2, 1+3 = 2+2
  const auto expected = at::tensor({1., -2., 1., 0., 1., -1., -1., 1., 0., 1., -2., 1.}, at::kDouble).view({3, 4});
  EXPECT_TRUE(rows.equal(expected)) << rows;
}

TEST(RepresentationQuality, IsOneForALineWhateverItsShiftAndSlope) {
  EXPECT_EQ(liu::representation_quality(all_equations(10), line(10, 3, -0.01)), 1);
  EXPECT_EQ(liu::representation_quality(all_equations(10), at::cat({line(10, 0, 1), line(10, 5, -2)}, 1)), 1);
}

TEST(RepresentationQuality, CountsWhatADisplacedPointBreaks) {
  // Of 0+2=1+1 0+3=1+2 0+4=1+3 0+4=2+2 1+3=2+2 1+4=2+3 2+4=3+3, those without 3 stay.
  auto e = line(5, 0, 1);
  e[3] += 0.7;
  const auto rows = all_equations(5);
  const auto with_three = rows.select(1, 3).ne(0).sum().item<double>();
  ASSERT_EQ(rows.size(0), 7);
  ASSERT_EQ(with_three, 5);
  EXPECT_DOUBLE_EQ(liu::representation_quality(rows, e), 2.0 / 7);
}

TEST(RepresentationQuality, MeasuresOnStandardisedEmbeddings) {
  // Two numbers and a middle one off by x: standardised, |E_0 + E_2 - 2 E_1|^2 = 4 x^2 / (1 + x^2 / 3) for -1, x, 1.
  for (const double x : {0.049, 0.0505}) {
    const auto e = at::tensor({-1., x, 1.}, at::kDouble).unsqueeze(1);
    const double square = 4 * x * x / (1 + x * x / 3);
    EXPECT_EQ(liu::representation_quality(all_equations(3), 7 * e + 2), square < 0.01 ? 1 : 0) << x;
  }
}

TEST(EffectiveLoss, IsTheMeanSquareOverTheNorm) {
  const auto e = at::tensor({1., 2., 4., 3.}, at::kDouble).unsqueeze(1);
  // 0+2=1+1: 1+4-4 = 1; 0+3=1+2: 1+3-2-4 = -2; 1+3=2+2: 2+3-8 = -3.
  EXPECT_NEAR(liu::effective_loss(all_equations(4), e).item<double>(), (1.0 + 4 + 9) / 3 / 30, 1e-15);
  EXPECT_NEAR(liu::effective_loss(all_equations(10), line(10, 1, 2)).item<double>(), 0, 1e-15);
}

TEST(EffectiveLoss, ItsGradientFlowConservesSumAndSquareSum) {
  for (const std::int64_t d : {1, 3}) {
    const auto e = normal_init({10, d}, 1, 3, "E").requires_grad_(true);
    const auto g = torch::autograd::grad({liu::effective_loss(all_equations(10), e)}, {e})[0];
    ASSERT_GT(g.abs().max().item<double>(), 1e-2);
    const auto centred = e.detach();
    EXPECT_NEAR((g * centred).sum().item<double>(), 0, 1e-14);  // d/dt sum |E_k|^2, whatever the sum
    const auto zero_mean = (centred - centred.mean(0, true)).requires_grad_(true);
    const auto h = torch::autograd::grad({liu::effective_loss(all_equations(10), zero_mean)}, {zero_mean})[0];
    EXPECT_LT(h.sum(0).abs().max().item<double>(), 1e-14);  // d/dt sum E_k at sum 0
  }
}

TEST(EffectiveRates, EqualAnIndependentEigenvalueComputation) {
  const auto order = liu::unordered_pairs(10);
  for (const std::int64_t n : {20, 30, 45, 55}) {
    const auto pairs = order.slice(0, 55 - n);
    const auto expected = jacobi_eigenvalues(counted_hessian(pairs, 10));
    const auto rates = liu::effective_rates(liu::equations(pairs, 10));
    ASSERT_EQ(rates.size(), 10u);
    for (std::size_t k = 0; k < 10; ++k) EXPECT_NEAR(rates[k], expected[k], 1e-12) << n << " " << k;
    EXPECT_NEAR(rates[0], 0, 1e-14);
    EXPECT_NEAR(rates[1], 0, 1e-14);
  }
  EXPECT_NEAR(liu::effective_rates(all_equations(10))[2], 2 * 30.0 / 70 / 9, 1e-12);  // A^T A has the eigenvalue 30
}

TEST(Deduction, FollowsEquationsToATrainingPair) {
  const auto train = pairs_of({0, 3, 1, 1}), test = pairs_of({1, 2, 0, 2, 2, 2});
  const auto rows = all_equations(4);
  EXPECT_DOUBLE_EQ(liu::deducible_share(train, test, rows), 4.0 / 5);  // 2+2 has no training pair of its sum
  EXPECT_DOUBLE_EQ(liu::deducible_share(train, test, rows.slice(0, 0, 1)), 3.0 / 5);  // 0+2 = 1+1 alone
  EXPECT_DOUBLE_EQ(liu::deducible_share(train, test, rows.slice(0, 0, 0)), 2.0 / 5);
}

TEST(Deduction, EquationsImplyOthers) {
  // 0+3 = 1+2 and 2+5 = 3+4 give 0+5 = 1+4, the example of the authors' program.
  const auto known = liu::equations(pairs_of({0, 3, 1, 2, 2, 5, 3, 4}), 6);
  ASSERT_EQ(known.size(0), 2);
  const auto rows = liu::implied(known, 6);
  EXPECT_EQ(rows.size(0), 3);
  EXPECT_DOUBLE_EQ(liu::deducible_share(pairs_of({1, 4}), pairs_of({0, 5, 0, 4}), rows), 2.0 / 3);
  EXPECT_EQ(liu::implied(all_equations(6), 6).size(0), all_equations(6).size(0));
}

liu::Outcome outcome_of(std::vector<double> train, std::vector<double> test) {
  const std::vector<std::int64_t> step{0, 500, 1000, 1500, 2000};
  return liu::classify(step, train, test);
}

TEST(Phases, FollowTheRuleOfNinetyPerCentAndAThousandSteps) {
  using liu::Phase;
  const auto grokking = outcome_of({.1, .9, 1, 1, 1}, {.1, .2, .89, .9, .9});
  EXPECT_EQ(grokking.phase, Phase::grokking);  // exactly 1,000 steps behind
  EXPECT_EQ(grokking.delay, 1000);
  EXPECT_EQ(outcome_of({.1, .9, 1, 1, 1}, {.1, .2, .95, .9, .9}).phase, Phase::comprehension);
  EXPECT_EQ(outcome_of({.1, .2, .3, 1, 1}, {.1, .9, .95, .9, .9}).delay, -1000);
  EXPECT_EQ(outcome_of({.1, .2, .3, 1, 1}, {.1, .9, .95, .9, .9}).phase, Phase::comprehension);
  const auto memorisation = outcome_of({.1, .9, 1, 1, 1}, {.1, .2, .5, .89, .89});
  EXPECT_EQ(memorisation.phase, Phase::memorisation);
  EXPECT_EQ(memorisation.train_step, 500);
  EXPECT_TRUE(std::isnan(memorisation.test_step));
  EXPECT_EQ(outcome_of({.1, .2, .3, .4, .89}, {.1, .9, 1, 1, 1}).phase, Phase::confusion);
  EXPECT_TRUE(std::isnan(outcome_of({kNever, .2, .3, .4, .5}, {0, 0, 0, 0, 0}).delay));
}

/// The task with some keys set, built.
std::unique_ptr<Task> built(const std::string& split, const std::string& kind, std::int64_t seed) {
  auto task = liu_effective().make();
  Schemas schemas;
  task->declare(schemas);
  Reading reading;
  const auto set = [&](const char* key, const std::string& value) {
    schemas.find("data")->find(key)->read(Node::string(value), key, reading);
  };
  set("split", split);
  set("task", kind);
  EXPECT_TRUE(reading.problems.empty());
  TrainingOptions training;
  training.seed = seed;
  training.dtype = "float64";
  task->build_data(training);
  task->build_model(training);
  return task;
}

TEST(Task, HasTheParametersOfThePaper) {
  EXPECT_EQ(built("random", "regression", 0)->model().parameters.total(), 46640);
  EXPECT_EQ(built("random", "classification", 0)->model().parameters.total(), 44429);
}

TEST(Task, FixedSplitsAreThoseOfTheirNames) {
  const auto task = built("fixed_a", "regression", 3);
  ASSERT_EQ(task->data().train.size(), 45);
  auto ids = std::get<0>(task->data().test.ids.sort());
  EXPECT_TRUE(ids.equal(at::tensor({3, 4, 7, 18, 19, 26, 48, 56, 66, 79}, at::kLong))) << ids;
  ids = std::get<0>(built("fixed_b", "regression", 4)->data().test.ids.sort());
  EXPECT_TRUE(ids.equal(at::tensor({5, 7, 11, 26, 28, 29, 46, 47, 67, 88}, at::kLong))) << ids;
}

TEST(Task, EverySplitHasEveryPairOnce) {
  const auto pairs = liu::unordered_pairs(10);
  const auto all = std::get<0>((pairs.select(1, 0) * 10 + pairs.select(1, 1)).sort());
  for (const char* split : {"random", "covering", "fixed_a", "fixed_b"}) {
    for (std::int64_t seed = 0; seed < 5; ++seed) {
      const auto task = built(split, "regression", seed);
      EXPECT_EQ(task->data().test.size(), 10) << split;
      EXPECT_TRUE(std::get<0>(at::cat({task->data().train.ids, task->data().test.ids}).sort()).equal(all)) << split << seed;
    }
  }
}

TEST(Task, CoveringSplitsTrainEverySumThatHasOnePair) {
  bool some_random_split_does_not = false;
  for (std::int64_t seed = 0; seed < 20; ++seed) {
    const auto sums_tested = [&](const std::string& split) {
      const auto targets = built(split, "regression", seed)->data().test.targets;
      return (targets.le(1) | targets.ge(17)).any().item<bool>();
    };
    EXPECT_FALSE(sums_tested("covering")) << seed;
    some_random_split_does_not = some_random_split_does_not || sums_tested("random");
  }
  EXPECT_TRUE(some_random_split_does_not);
}

TEST(Task, AnswersAreNearestTemplates) {
  const auto task = built("random", "regression", 0);
  const auto templates = to_tensor(task->extra_data().front());
  ASSERT_EQ(templates.size(0), 19);
  ASSERT_EQ(templates.size(1), 30);
  const auto labels = at::tensor({4, 18}, at::kLong);
  const auto outputs = templates.index_select(0, at::tensor({4, 17}, at::kLong)) + 0.01;
  const auto correct = task->loss().correct(outputs, labels);
  EXPECT_TRUE(correct[0].item<bool>());
  EXPECT_FALSE(correct[1].item<bool>());
  EXPECT_NEAR(task->loss().per_example(outputs, labels)[0].item<double>(), 1e-4, 1e-12);
}

}  // namespace
}  // namespace grokscope
