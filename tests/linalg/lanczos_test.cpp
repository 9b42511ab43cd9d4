// Top eigenpairs: multiplicities, clusters, rank deficiency, missed copies, and the way back to a full solve.
#include "linalg/lanczos.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "linalg/filling_grid_test.hpp"
#include "linalg/known_matrix.hpp"

namespace grokscope {
namespace {

using test::deal;
using test::harmonic;
using test::KnownMatrix;
using test::with_spectrum;

class LanczosTest : public FillingGridTest {
 protected:
  /// Values, vectors and residuals against the oracle's own numbers.
  static void expect_top(const TopEigenpairs& top, const KnownMatrix& known, std::int64_t k) {
    const auto n = static_cast<std::size_t>(known.n);
    const auto wanted = static_cast<std::size_t>(std::min(k, known.n));
    ASSERT_EQ(top.pairs.values.size(), wanted);
    ASSERT_EQ(top.pairs.vectors.size(), wanted * n);
    const double scale = known.largest() > 0 ? known.largest() : 1.0;
    for (std::size_t a = 0; a < wanted; ++a) {
      ASSERT_NEAR(top.pairs.values[a] / scale, known.values[a] / scale, 1e-13 * std::sqrt(n))
          << "eigenvalue " << a;
      double square = 0;
      for (std::size_t i = 0; i < n; ++i) {
        double sum = -top.pairs.values[a] / scale * top.pairs.vectors[i + a * n];
        for (std::size_t j = 0; j < n; ++j)
          sum += known.elements[i + j * n] / scale * top.pairs.vectors[j + a * n];
        square += sum * sum;
      }
      EXPECT_LE(std::sqrt(square), 2e-12);
      EXPECT_LE(top.pairs.residuals[a], 2e-12);
      double largest = 0;
      for (std::size_t i = 0; i < n; ++i) {
        if (std::abs(top.pairs.vectors[i + a * n]) > std::abs(largest))
          largest = top.pairs.vectors[i + a * n];
      }
      EXPECT_GT(largest, 0);
      for (std::size_t b = 0; b <= a; ++b) {
        double dot = 0;
        for (std::size_t i = 0; i < n; ++i)
          dot += top.pairs.vectors[i + a * n] * top.pairs.vectors[i + b * n];
        ASSERT_NEAR(dot, a == b ? 1.0 : 0.0, 1e-12);
      }
    }
  }

  TopEigenpairs solve(const KnownMatrix& known, std::int64_t k, LanczosOptions options = {}) {
    return top_eigenpairs(deal(known, 8, grid), k, options);
  }
};

TEST_F(LanczosTest, FindsTheTopOfASlowSpectrum) {
  // 1, 1/2, 1/3, ...: the wanted values grow ever closer, so that the basis restarts.
  const auto known = with_spectrum(harmonic(400));
  const auto top = solve(known, 10);
  EXPECT_TRUE(top.converged);
  EXPECT_GT(top.blocks, 1);
  expect_top(top, known, 10);
}

TEST_F(LanczosTest, FindsACloseSpectrumThatNeedsRestarts) {
  std::vector<double> values(350);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 2.0 - static_cast<double>(i) / 350.0;
  const auto known = with_spectrum(values);
  const auto top = solve(known, 8);
  EXPECT_TRUE(top.converged);
  EXPECT_GT(top.blocks, 14) << "this spectrum was meant to need a restart";
  expect_top(top, known, 8);
}

TEST_F(LanczosTest, FindsAllCopiesOfAMultipleValue) {
  // 30 copies: more than a block of 8 (k = 5) or 20 sees at once.
  std::vector<double> values(300, 0.0);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i < 30 ? 1.0 : 0.5 / static_cast<double>(i);
  const auto known = with_spectrum(values);
  for (const std::int64_t k : {5, 20}) {
    const auto top = solve(known, k);
    EXPECT_TRUE(top.converged);
    expect_top(top, known, k);
  }
}

TEST_F(LanczosTest, StartsAgainWhenTheKrylovSpaceCloses) {
  // A projector: two blocks of 32 are exact for 32 of its 90 ones, and nothing in them leads to the others.
  std::vector<double> values(640, 0.0);
  std::fill_n(values.begin(), 90, 1.0);
  const auto known = with_spectrum(values);
  const auto top = solve(known, 80);
  EXPECT_TRUE(top.converged);
  expect_top(top, known, 80);
}

TEST_F(LanczosTest, ProbesUntilNothingNewAppears) {
  // Six distinct values: six blocks of 32 are exact for 32 copies of each, so that 80 exact pairs, but not
  // the 80 largest, are found. The first probe finds 32 more of the 90 ones, only the second one the rest.
  std::vector<double> values(640);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i < 90 ? 1.0 : 0.1 * static_cast<double>(i % 5);
  const auto known = with_spectrum(values);
  const auto top = solve(known, 80);
  EXPECT_TRUE(top.converged);
  expect_top(top, known, 80);
  // The same with the spectrum at hand.
  LanczosOptions options;
  options.known_values = known.values;
  expect_top(solve(known, 80, options), known, 80);
}

TEST_F(LanczosTest, FindsClusters) {
  std::vector<double> values(320, 0.0);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = i < 12 ? 1.0 + 1e-9 * static_cast<double>(i) : 0.1;
  const auto known = with_spectrum(values);
  expect_top(solve(known, 12), known, 12);
}

TEST_F(LanczosTest, CopesWithLowRank) {
  for (const std::size_t rank : {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{40}}) {
    std::vector<double> values(300, 0.0);
    for (std::size_t i = 0; i < rank; ++i) values[i] = 4.0 / static_cast<double>(i + 1);
    const auto known = with_spectrum(values);
    const auto top = solve(known, 10);
    EXPECT_TRUE(top.converged);
    expect_top(top, known, 10);
  }
}

TEST_F(LanczosTest, TakesTheLargestOfAnIndefiniteSpectrum) {
  std::vector<double> values(300);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = i < 150 ? 1.0 / static_cast<double>(i + 1) : -3.0 / static_cast<double>(i - 149);
  const auto known = with_spectrum(values);
  expect_top(solve(known, 6), known, 6);
}

TEST_F(LanczosTest, WorksAtAnySizeAndCount) {
  for (const std::int64_t n : {1, 2, 9, 50, 140}) {
    const auto known = with_spectrum(harmonic(n));
    for (const std::int64_t k : {std::int64_t{1}, n - 1, n, n + 5}) {
      if (k == 0) continue;
      const auto top = solve(known, k);
      EXPECT_TRUE(top.converged);
      expect_top(top, known, k);
    }
  }
  EXPECT_TRUE(solve(with_spectrum(harmonic(5)), 0).pairs.values.empty());
}

TEST_F(LanczosTest, WorksAtAnyScale) {
  for (const double scale : {1e-20, 1e-150, 1e200}) {
    auto values = harmonic(300);
    for (double& value : values) value *= scale;
    const auto known = with_spectrum(values);
    expect_top(solve(known, 5), known, 5);
  }
}

TEST_F(LanczosTest, ReadsLowerOnlyMatrices) {
  const auto known = with_spectrum(harmonic(300));
  expect_top(top_eigenpairs(deal(known, 16, grid, Triangles::lower), 6, {}), known, 6);
}

TEST_F(LanczosTest, AcceptsKnownValuesAndSearchesUntilTheyAgree) {
  const auto known = with_spectrum(harmonic(400));
  LanczosOptions options;
  options.known_values = known.values;
  const auto with_values = solve(known, 6, options);
  EXPECT_TRUE(with_values.converged);
  expect_top(with_values, known, 6);
  EXPECT_LT(with_values.blocks, solve(known, 6).blocks) << "known values save the probe";
}

TEST_F(LanczosTest, FallsBackToAFullSolve) {
  const auto known = with_spectrum(harmonic(300));
  LanczosOptions options;
  options.max_blocks = 2;
  const auto early = solve(known, 6, options);
  EXPECT_FALSE(early.converged);
  expect_top(early, known, 6);
  // Values that are not the matrix's can never be agreed with: not converged, and yet the right answer.
  LanczosOptions wrong;
  wrong.known_values = std::vector<double>(6, 7.0);
  wrong.max_blocks = 60;
  const auto doubted = solve(known, 6, wrong);
  EXPECT_FALSE(doubted.converged);
  expect_top(doubted, known, 6);
}

TEST_F(LanczosTest, RepeatsBitByBitAndOnAllRanks) {
  const auto known = with_spectrum(harmonic(300));
  LanczosOptions options;
  options.seed = 11;
  const auto first = solve(known, 7, options);
  const auto second = solve(known, 7, options);
  EXPECT_EQ(first.pairs.values, second.pairs.values);
  EXPECT_EQ(first.pairs.vectors, second.pairs.vectors);
  const auto all = comm.all_gather<double>(first.pairs.vectors);
  for (std::size_t e = 0; e < all.size(); ++e)
    ASSERT_EQ(all[e], first.pairs.vectors[e % first.pairs.vectors.size()]);
}

TEST_F(LanczosTest, RefusesNaNOnAllRanks) {
  for (const std::int64_t n : {20, 300}) {
    auto known = with_spectrum(harmonic(n));
    known.elements[7] = known.elements[static_cast<std::size_t>(7 * n)] =
        std::numeric_limits<double>::quiet_NaN();
    try {
      solve(known, 4);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::environment);
      EXPECT_TRUE(error.on_all_ranks());
    }
  }
}

TEST_F(LanczosTest, TakesAnyOperator) {
  // diag(n, n-1, ..., 1) without a matrix.
  const std::int64_t n = 500;
  const SymmetricOperator apply = [n](std::span<const double> x, std::int64_t k) {
    std::vector<double> y(x.begin(), x.end());
    for (std::int64_t e = 0; e < n * k; ++e) y[static_cast<std::size_t>(e)] *= static_cast<double>(n - e % n);
    return y;
  };
  const auto top = top_eigenpairs(apply, n, 3, {});
  EXPECT_TRUE(top.converged);
  for (std::size_t a = 0; a < 3; ++a) {
    EXPECT_NEAR(top.pairs.values[a], static_cast<double>(n) - static_cast<double>(a),
                1e-11 * static_cast<double>(n));
    EXPECT_NEAR(top.pairs.vectors[a + a * static_cast<std::size_t>(n)], 1.0, 1e-9);
  }
}

}  // namespace
}  // namespace grokscope
