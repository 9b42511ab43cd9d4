// The estimate of time and memory: what must hold for any machine, and the solver's table that it was fitted to.
#include "run/cost_model.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "run/calibration.hpp"
#include "run/plan.hpp"

namespace grokscope {
namespace {

/// Paper 03 in round numbers.
Workload transformer() {
  Workload w;
  w.examples = w.tracked = 3830;
  w.test_examples = 8939;
  w.parameters = 226'816;
  w.batch = 3830;
  w.steps = 40'000;
  w.evaluations = 4000;
  w.moments = 161;
  w.layers = {{100'000, 3000}, {126'816, 3300}};
  w.gram_macs = 6300;
  w.product_macs = 400'000;
  w.tap_bytes = 60e6;
  w.shares_backward = true;
  return w;
}

const ModelTimes kTimes{{1e-3, 1e-5}, {1e-3, 3e-5}, 2.5e-7};

TEST(CostModel, FollowsTheTableOfSolversThatItWasFittedTo) {
  struct Row {
    std::int64_t n;
    int ranks;
    const char* solver;
    double seconds;
  };
  // linalg/solver_choice.cpp, eigenvalues alone.
  const Row rows[] = {{1000, 1, "lapack", .075},    {2000, 1, "lapack", .453},    {4000, 1, "lapack", 3.18},
                      {1000, 1, "two_stage", .080}, {2000, 1, "two_stage", .466}, {4000, 1, "two_stage", 2.86},
                      {4000, 2, "two_stage", 1.95}, {2000, 2, "scalapack", .449}, {4000, 2, "scalapack", 5.29},
                      {4000, 1, "elpa1", 9.51},     {4000, 2, "elpa1", 6.20},     {4000, 1, "elpa2", 4.97},
                      {4000, 2, "elpa2", 3.29}};
  for (const auto& row : rows) {
    const auto choice = choose_solver({row.n, row.ranks, row.solver, false});
    const double ratio = solve_seconds(choice, row.n, {}) / row.seconds;
    EXPECT_GT(ratio, 0.7) << row.solver << " " << row.n << " on " << row.ranks;
    EXPECT_LT(ratio, 1.45) << row.solver << " " << row.n << " on " << row.ranks;
  }
}

TEST(CostModel, ATotalIsTheSumOfItsParts) {
  auto w = transformer();
  w.stored = 3;
  w.stored_bytes = 5e9;
  const auto e = estimate_cost(w, kTimes, {}, 2);
  EXPECT_DOUBLE_EQ(e.store_s, 5.0);
  EXPECT_DOUBLE_EQ(e.total_s, 40'000 * e.step_s + 4000 * e.evaluation_s +
                                  161 * (e.pass_s + e.fill_s + e.layers_s + e.solve_s + e.vectors_s) + 3 * e.store_s);
  EXPECT_NEAR(e.pass_s, 1915 * 2e-5, 1e-12) << "what the taps add to the training step";
  w.shares_backward = false;
  EXPECT_NEAR(estimate_cost(w, kTimes, {}, 2).pass_s, 1e-3 + 1915 * 3e-5, 1e-12) << "a pass of its own";
  w.dense_flops = 7e14;
  EXPECT_GT(estimate_cost(w, kTimes, {}, 2).store_s, 5.0) << "forming is slower than the disk here";
}

TEST(CostModel, TheGramSideCostsItsPairs) {
  auto w = transformer();
  const auto once = estimate_cost(w, kTimes, {}, 1);
  EXPECT_EQ(once.side.side, Side::gram);
  EXPECT_NEAR(once.fill_s, 2.5e-7 * 3830.0 * 3830 / 2, 0.1 * once.fill_s);
  w.tracked *= 2;
  EXPECT_NEAR(estimate_cost(w, kTimes, {}, 1).fill_s / once.fill_s, 4, 0.2);
  EXPECT_LT(estimate_cost(w, kTimes, {}, 1024).fill_s, once.fill_s / 100);
}

TEST(CostModel, TheDenseSideCostsNSquaresOfP) {
  auto w = transformer();
  w.path = "dense";
  w.parameters = 2000;
  const auto e = estimate_cost(w, kTimes, {}, 1);
  EXPECT_EQ(e.side.side, Side::dense);
  EXPECT_NEAR(e.fill_s, 3830.0 * 2000 * (2000 + 512) / (0.7 * 49.5e9), 1e-12);
}

TEST(CostModel, ANetworkCountsBetweenRanksOnly) {
  MachineRates slow;
  slow.latency_s = 1e-3;
  slow.network_bytes = 1e8;
  const auto w = transformer();
  EXPECT_EQ(estimate_cost(w, kTimes, slow, 1).total_s, estimate_cost(w, kTimes, {}, 1).total_s);
  EXPECT_GT(estimate_cost(w, kTimes, slow, 64).total_s, 2 * estimate_cost(w, kTimes, {}, 64).total_s);
}

TEST(CostModel, ChoosesWhatTheRunChooses) {
  const auto w = transformer();
  for (const int ranks : {1, 2, 8, 64, 1024}) {
    const auto e = estimate_cost(w, kTimes, {}, ranks);
    EXPECT_EQ(e.solver.reason, choose_solver({3830, ranks, "auto", false}).reason);
    EXPECT_EQ(e.is_extrapolated, ranks > 2);
  }
  EXPECT_LT(estimate_cost(w, kTimes, {}, 64).memory_bytes, estimate_cost(w, kTimes, {}, 2).memory_bytes);
}

TEST(CostModel, CountsTheModelOnEveryRank) {
  auto w = transformer();
  for (const int ranks : {1, 16}) {
    const double before = estimate_cost(w, kTimes, {}, ranks).memory_bytes;
    w.parameter_bytes += 1e9;
    EXPECT_NEAR(estimate_cost(w, kTimes, {}, ranks).memory_bytes - before, 7e9, 1);
  }
}

TEST(CostModel, TimesTwoNumbersOfExamplesHoweverSlowTheModel) {
  EXPECT_EQ(second_sample(16, 0.001, 100'000), 2400);  // 0.15 s hold so many
  EXPECT_EQ(second_sample(16, 0.001, 500), 500);
  EXPECT_EQ(second_sample(16, 0.4, 313'600), 4);  // GPT-2 on a CPU: sixteen are too many already
  EXPECT_EQ(second_sample(16, 0.001, 20), 4);     // there are no more
  EXPECT_EQ(second_sample(3, 1, 3), 1);
  EXPECT_EQ(second_sample(1, 1, 1), 1);
  for (const std::int64_t second : {4, 64}) {
    const auto times = line_through(16, 0.2 + 16 * 0.03, second, 0.2 + static_cast<double>(second) * 0.03);
    EXPECT_NEAR(times.overhead_s, 0.2, 1e-12);
    EXPECT_NEAR(times.example_s, 0.03, 1e-12);
  }
  EXPECT_EQ(line_through(1, 0.5, 1, 0.5).of(1), 0.5);
}

TEST(CostModel, RanksAreANumberOrARange) {
  PlanRequest request;
  parse_ranks("8", request);
  EXPECT_EQ(request.ranks, 8);
  EXPECT_EQ(request.most_ranks, 8);
  parse_ranks("2:1024", request);
  EXPECT_EQ(request.ranks, 2);
  EXPECT_EQ(request.most_ranks, 1024);
  for (const char* wrong : {"", "0", "-1", "two", "1:", ":4", "1:2:3", "99999999999"}) {
    EXPECT_THROW(parse_ranks(wrong, request), UserError) << wrong;
  }
}

}  // namespace
}  // namespace grokscope
