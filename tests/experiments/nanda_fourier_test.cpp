// Fourier components, Gini coefficients, key frequencies and phases of tables and curves drawn by hand.
#include "experiments/03_nanda_progress/fourier.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "experiments/03_nanda_progress/phases.hpp"
#include "nn/parameters.hpp"

namespace grokscope::nanda {
namespace {

at::Tensor wave(std::int64_t p, double k, double phase) {
  return at::cos(2 * std::numbers::pi * k / static_cast<double>(p) * at::arange(p, at::kDouble) + phase);
}

TEST(FourierBasis, IsOrthonormal) {
  for (const std::int64_t p : {3, 4, 7, 10, 113}) {
    const auto basis = fourier_basis(p);
    ASSERT_EQ(basis.size(0), p);
    EXPECT_LT((at::mm(basis, basis.t()) - at::eye(p, at::kDouble)).abs().max().item<double>(), 1e-13) << p;
  }
}

TEST(ComponentNorms, KeepTheNormOfTheTable) {  // Parseval
  for (const std::int64_t p : {4, 7, 113}) {
    const auto table = normal_init({6, p}, 1, 3, "table");
    const double square = table.square().sum().item<double>();
    EXPECT_NEAR(component_norms(table).square().sum().item<double>(), square, 1e-12 * square) << p;
  }
}

TEST(FrequencyNorms, FindAWaveWhateverItsPhase) {
  const std::int64_t p = 113;
  for (const double phase : {0.0, 0.7, 2.0}) {
    const auto norms = frequency_norms((3 * wave(p, 14, phase) + 5).unsqueeze(0));
    ASSERT_EQ(norms.numel(), 56);
    EXPECT_NEAR(norms[13].item<double>(), 3 * std::sqrt(p / 2.0),
                1e-11);  // cos has norm sqrt(p/2); the constant is no frequency
    EXPECT_NEAR(norms.sum().item<double>(), norms[13].item<double>(), 1e-9);
  }
}

TEST(Gini, OfEqualValuesIsZeroAndOfOneSpikeNearOne) {
  EXPECT_NEAR(gini(at::full({113}, 0.3, at::kDouble)), 0, 1e-14);
  auto spike = at::zeros({113}, at::kDouble);
  spike[40] = 2;
  EXPECT_NEAR(gini(spike), 112.0 / 113, 1e-14);
  EXPECT_NEAR(gini(at::tensor({3.0, 1.0}, at::kDouble)), 0.25, 1e-15);  // mean |x_i - x_j| / (2 mean) = 1 / 4
  EXPECT_TRUE(std::isnan(gini(at::zeros({4}, at::kDouble))));
}

TEST(KeyFrequencies, StandOutInBothTables) {
  const auto a = at::tensor({9.0, 1.0, 1.0, 1.0, 4.0, 1.0, 8.0}, at::kDouble);
  const auto b = at::tensor({1.0, 1.0, 1.0, 1.0, 9.0, 6.0, 8.0}, at::kDouble);
  EXPECT_EQ(key_frequencies(a, b), (std::vector<std::int64_t>{5, 7}));
  const auto clean = at::tensor({8.0, 0.0, 0.0, 1.9, 2.1, 0.0, 0.0}, at::kDouble);  // a quarter is 2
  EXPECT_EQ(key_frequencies(clean, clean), (std::vector<std::int64_t>{1, 5}));
  const auto flat = at::full({7}, 3.0, at::kDouble);
  EXPECT_TRUE(key_frequencies(flat, clean).empty());
  EXPECT_TRUE(key_frequencies(clean, flat).empty());
}

History curves(const std::vector<double>& test, const std::vector<double>& excluded, const std::vector<double>& restricted) {
  History h;
  for (std::size_t i = 0; i < test.size(); ++i) {
    h.step.push_back(static_cast<std::int64_t>(100 * i));
    h.evaluations.push_back({0, test[i], 0, 0});
  }
  h.observables["excluded_loss"] = excluded;
  h.observables["restricted_loss"] = restricted;
  return h;
}

TEST(Phases, EndAtTheLowestExcludedTheFirstSolvedRestrictedAndTheFirstGoneTestLoss) {
  const auto p = find_phases(curves({0.1, 20, 9, 10, 3, 0.5, 0.2, 0.1}, {4, kMissing, 1, 2, 9, 12, 12, 12},
                                    {5, kMissing, 3, kMissing, 0.11, 0.1, 0.01, 0.2}));
  EXPECT_EQ(p.memorisation, 200);
  EXPECT_EQ(p.circuit_formation, 500);
  EXPECT_EQ(p.clean_up, 600);  // 0.2 is 1/100 of 20; the 0.1 before the largest was no clean-up
}

TEST(Phases, ThatWereNotReachedAreMissing) {
  const auto still_high = find_phases(curves({4, 20, 19}, {4, 1, 2}, {5, kMissing, 0.2}));
  EXPECT_EQ(still_high.memorisation, 100);
  EXPECT_TRUE(std::isnan(still_high.circuit_formation));
  EXPECT_TRUE(std::isnan(still_high.clean_up));
  EXPECT_TRUE(std::isnan(find_phases({}).memorisation));
}

}  // namespace
}  // namespace grokscope::nanda
