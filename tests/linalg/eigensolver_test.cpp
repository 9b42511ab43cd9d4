// The battery: every solver by name against spectra that are known by construction, on every grid, and every
// refusal.
#include "linalg/eigensolver.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "linalg/filling_grid_test.hpp"
#include "linalg/known_matrix.hpp"
#include "linalg/matrix_sums.hpp"
#include "linalg/redistribution.hpp"

namespace grokscope {
namespace {

using test::deal;
using test::harmonic;
using test::KnownMatrix;
using test::with_elements;
using test::with_spectrum;

constexpr double kEps = std::numeric_limits<double>::epsilon();

/// What double precision can give: n eps lambda_1, with a floor for very small n.
double allowed_error(const KnownMatrix& known) {
  return std::max<double>(10.0, static_cast<double>(known.n)) * kEps * known.largest();
}

std::vector<double> decades(std::int64_t n) {
  std::vector<double> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) {
    // Graded over 18 decades, in a permuted order: 37 is prime and does not divide the sizes used.
    const double place = static_cast<double>(i * 37 % values.size()) / static_cast<double>(n);
    values[i] = std::pow(10.0, -18.0 * place);
  }
  return values;
}

KnownMatrix diagonal(std::vector<double> values) {
  auto known = with_elements(static_cast<std::int64_t>(values.size()), [&](std::int64_t i, std::int64_t j) {
    return i == j ? values[static_cast<std::size_t>(i)] : 0.0;
  });
  known.values = std::move(values);
  std::sort(known.values.begin(), known.values.end(), std::greater<>());
  return known;
}

/// X X^T for X = [Y; Y]: every example twice; the non-zero spectrum is twice that of Y Y^T, the rest is zero.
KnownMatrix duplicated_rows(std::int64_t n) {
  const auto half = with_spectrum(harmonic(n));
  auto known = with_elements(2 * n, [&](std::int64_t i, std::int64_t j) { return half.at(i % n, j % n); });
  for (const double value : half.values) known.values.push_back(2 * value);
  known.values.resize(static_cast<std::size_t>(2 * n), 0.0);
  return known;
}

class EigensolverTest : public FillingGridTest, public testing::WithParamInterface<const char*> {
 protected:
  SolverChoice choice(std::int64_t n, bool vectors = false) const {
    return choose_solver({.n = n, .ranks = comm.size(), .wanted = GetParam(), .vectors = vectors});
  }

  /// Fills the lower triangle as the Gram path does, mirrors, solves and compares every eigenvalue.
  void expect_known(const KnownMatrix& known, const std::string& name) {
    SCOPED_TRACE(name);
    auto matrix = deal(known, default_block_size(known.n, grid.shape()), grid, Triangles::lower);
    mirror_lower(matrix);
    const auto spectrum = solve_eigenvalues(matrix, choice(known.n));
    ASSERT_EQ(spectrum.values.size(), known.values.size());
    for (std::size_t i = 0; i < known.values.size(); ++i) {
      ASSERT_NEAR(spectrum.values[i], known.values[i], allowed_error(known)) << "eigenvalue " << i;
    }
    EXPECT_TRUE(std::is_sorted(spectrum.values.rbegin(), spectrum.values.rend()));
    EXPECT_LE(spectrum.trace_residual, 1e-12);
    EXPECT_LE(spectrum.norm_residual, 1e-12);
    expect_same_on_all_ranks(spectrum.values);
  }

  void expect_same_on_all_ranks(const std::vector<double>& values) {
    const auto all = comm.all_gather<double>(values);
    for (std::size_t e = 0; e < all.size(); ++e) ASSERT_EQ(all[e], values[e % values.size()]);
  }
};

TEST_P(EigensolverTest, FindsSpectraOfEveryRank) {
  const std::int64_t n = 90;
  expect_known(with_spectrum(std::vector<double>(n, 0.0)), "zero");
  std::vector<double> values(n, 0.0);
  values[0] = 3.25;
  expect_known(with_spectrum(values), "rank 1");
  for (std::size_t i = 0; i < 17; ++i) values[i] = 1.0 + static_cast<double>(i);
  expect_known(with_spectrum(values), "rank 17");
  expect_known(with_spectrum(harmonic(n)), "full rank");
}

TEST_P(EigensolverTest, FindsMultipleAndClusteredValues) {
  std::vector<double> values(100, 1.0);
  expect_known(with_spectrum(values), "identity");
  for (std::size_t i = 0; i < 30; ++i) values[i] = 2.0 + 1e-13 * static_cast<double>(i);
  for (std::size_t i = 30; i < 60; ++i) values[i] = 1.0 + 1e-6 * static_cast<double>(i);
  expect_known(with_spectrum(values), "clusters");
  expect_known(duplicated_rows(48), "duplicated rows");
}

TEST_P(EigensolverTest, FindsGradedSpectraToAbsoluteAccuracy) {
  expect_known(with_spectrum(decades(120)), "graded");
  expect_known(diagonal(decades(120)), "graded and diagonal");
}

TEST_P(EigensolverTest, FindsIndefiniteSpectra) {
  std::vector<double> values;
  for (int i = -40; i <= 35; ++i) values.push_back(0.5 * i);
  expect_known(with_spectrum(values), "indefinite");
}

TEST_P(EigensolverTest, WorksAtAnyScale) {
  for (const double scale : {1e-20, 1e-300, 1e200}) {
    auto values = harmonic(70);
    for (double& value : values) value *= scale;
    expect_known(with_spectrum(values), std::to_string(std::log10(scale)));
  }
}

TEST_P(EigensolverTest, WorksAtAnySize) {
  for (const std::int64_t n : {1, 2, 3, 4, 5, 7, 15, 16, 17, 31, 33, 64, 65, 127, 130, 200}) {
    expect_known(with_spectrum(harmonic(n)), "n = " + std::to_string(n));
  }
}

TEST_P(EigensolverTest, WorksOnUnevenGridsAndBlocks) {
  const auto known = with_spectrum(harmonic(101));
  for (const GridShape shape : test::shapes_for(comm.size())) {
    for (const std::int64_t nb : {3, 16}) {
      auto chosen = choice(known.n);
      if (chosen.solver != Solver::lapack) {
        chosen.shape = shape;
        chosen.nb = nb;
      }
      const auto spectrum = solve_eigenvalues(deal(known, 5, grid), chosen);
      for (std::size_t i = 0; i < known.values.size(); ++i) {
        ASSERT_NEAR(spectrum.values[i], known.values[i], allowed_error(known))
            << shape.rows << "x" << shape.cols;
      }
    }
  }
}

using EigensolverVectorTest = EigensolverTest;

TEST_P(EigensolverVectorTest, FindsVectors) {
  std::vector<double> values = harmonic(110);
  for (std::size_t i = 3; i < 20; ++i) values[i] = 0.25;
  const auto known = with_spectrum(values);
  const auto matrix = deal(known, 8, grid);
  for (const std::int64_t count : {std::int64_t{1}, std::int64_t{30}, std::int64_t{500}}) {
    const auto pairs = solve_eigenpairs(matrix, count, choice(known.n, true));
    const auto k = static_cast<std::size_t>(std::min(count, known.n));
    ASSERT_EQ(pairs.values.size(), k);
    const auto n = static_cast<std::size_t>(known.n);
    ASSERT_EQ(pairs.vectors.size(), n * k);
    for (std::size_t a = 0; a < k; ++a) {
      ASSERT_NEAR(pairs.values[a], known.values[a], allowed_error(known));
      EXPECT_LE(pairs.residuals[a], 1e-13);
      // The residual again, from the oracle's own elements.
      long double square = 0;
      for (std::size_t i = 0; i < n; ++i) {
        long double sum = -static_cast<long double>(pairs.values[a]) * pairs.vectors[i + a * n];
        for (std::size_t j = 0; j < n; ++j)
          sum += static_cast<long double>(known.elements[i + j * n]) * pairs.vectors[j + a * n];
        square += sum * sum;
      }
      EXPECT_LE(std::sqrt(static_cast<double>(square)), 1e-13 * known.largest());
      for (std::size_t b = 0; b <= a; ++b) {
        double dot = 0;
        for (std::size_t i = 0; i < n; ++i) dot += pairs.vectors[i + a * n] * pairs.vectors[i + b * n];
        ASSERT_NEAR(dot, a == b ? 1.0 : 0.0, 1e-12);
      }
    }
    expect_same_on_all_ranks(pairs.vectors);
  }
}

TEST_P(EigensolverVectorTest, VectorsOfAZeroMatrixAreOrthonormal) {
  const DistributedMatrix zero(12, 12, 4, grid);
  const auto pairs = solve_eigenpairs(zero, 5, choice(12, true));
  EXPECT_EQ(pairs.values, std::vector<double>(5, 0.0));
  for (std::size_t a = 0; a < 5; ++a) {
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(pairs.vectors[i + a * 12], i == a ? 1.0 : 0.0);
  }
}

TEST_P(EigensolverTest, RepeatsBitByBit) {
  const auto matrix = deal(with_spectrum(decades(150)), 16, grid);
  const auto first = solve_eigenvalues(matrix, choice(150)).values;
  for (int repeat = 0; repeat < 3; ++repeat) EXPECT_EQ(solve_eigenvalues(matrix, choice(150)).values, first);
}

TEST_P(EigensolverTest, RefusesNaNAndInfOnAllRanks) {
  for (const double poison :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    auto known = with_spectrum(harmonic(60));
    known.elements[41 + 7 * 60] = known.elements[7 + 41 * 60] = poison;
    const auto matrix = deal(known, 8, grid);
    try {
      solve_eigenvalues(matrix, choice(60));
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::environment);
      EXPECT_TRUE(error.on_all_ranks());
      EXPECT_NE(std::string(error.what()).find("NaN or Inf"), std::string::npos);
    }
  }
}

TEST_P(EigensolverTest, ReadsOnlyWhatIsStored) {
  const auto known = with_spectrum(harmonic(80));
  const auto lower = deal(known, 8, grid, Triangles::lower);
  if (needs_both_triangles(choice(known.n).solver)) {
    EXPECT_THROW(solve_eigenvalues(lower, choice(known.n)), InternalError);
    return;
  }
  // These read one triangle; the NaN in the other must not reach them.
  const auto spectrum = solve_eigenvalues(lower, choice(known.n));
  for (std::size_t i = 0; i < known.values.size(); ++i) {
    EXPECT_NEAR(spectrum.values[i], known.values[i], allowed_error(known));
  }
}

TEST_P(EigensolverVectorTest, RefusesWhatItCannotSolve) {
  auto known = with_spectrum(harmonic(60));
  const auto lower = deal(known, 8, grid, Triangles::lower);
  if (needs_both_triangles(choice(60, true).solver)) {
    EXPECT_THROW(solve_eigenpairs(lower, 2, choice(60, true)), InternalError);
  }
  known.elements[41 + 7 * 60] = known.elements[7 + 41 * 60] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(solve_eigenpairs(deal(known, 8, grid), 3, choice(60, true)), EnvironmentError);
}

INSTANTIATE_TEST_SUITE_P(Solvers, EigensolverVectorTest,
                         testing::Values("lapack", "scalapack", "elpa1", "elpa2", "auto"),
                         [](const auto& suite) { return std::string(suite.param); });
INSTANTIATE_TEST_SUITE_P(Solvers, EigensolverTest,
                         testing::Values("lapack", "two_stage", "scalapack", "elpa1", "elpa2", "auto"),
                         [](const auto& suite) { return std::string(suite.param); });

class EigensolverRefusals : public FillingGridTest {};

TEST_F(EigensolverRefusals, AMatrixThatIsNotSymmetricFailsItsChecks) {
  // The upper triangle is empty, but the matrix claims to be full: the sums of squares cannot agree, for
  // whichever triangles the solver reads; the trace still does.
  auto known = with_spectrum(harmonic(64));
  for (std::int64_t j = 0; j < 64; ++j) {
    for (std::int64_t i = 0; i < j; ++i) known.elements[static_cast<std::size_t>(i + j * 64)] = 0;
  }
  const auto matrix = deal(known, 8, grid);
  for (const char* name : {"lapack", "two_stage", "scalapack", "elpa1", "elpa2"}) {
    try {
      solve_eigenvalues(matrix, choose_solver({.n = 64, .ranks = comm.size(), .wanted = name}));
      ADD_FAILURE() << name << " went unnoticed";
    } catch (const InternalError& error) {
      EXPECT_TRUE(error.on_all_ranks());
      EXPECT_NE(std::string(error.what()).find("are not those of the matrix"), std::string::npos);
    }
  }
}

TEST_F(EigensolverRefusals, ElpaIsNeverHandedAnEmptyPiece) {
  if (comm.size() == 1) GTEST_SKIP() << "one rank has no empty piece";
  const auto matrix = deal(with_spectrum(harmonic(10)), 2, grid);
  const SolverChoice reckless{Solver::elpa1, {1, 2}, 64, "a test"};
  EXPECT_THROW(solve_eigenvalues(matrix, reckless), InternalError);
}

TEST_F(EigensolverRefusals, RectanglesHaveNoEigenvalues) {
  const DistributedMatrix matrix(4, 5, 2, grid);
  EXPECT_THROW(solve_eigenvalues(matrix, choose_solver({.n = 4})), InternalError);
}

TEST_F(EigensolverRefusals, ABatchSolvesEachMatrixOnceAndInOrder) {
  // More matrices than ranks, of different sizes and scales, one of them zero; lower triangles only.
  std::vector<KnownMatrix> matrices;
  for (std::int64_t n = 3; n < 3 + 2 * comm.size() + 1; ++n) matrices.push_back(with_spectrum(harmonic(n)));
  for (auto& x : matrices[1].elements) x *= 1e-20;
  for (auto& x : matrices[1].values) x *= 1e-20;
  matrices.push_back(diagonal(std::vector<double>(5, 0.0)));
  SpectrumBatch batch(comm);
  for (const auto& known : matrices) batch.add(deal(known, 2, grid, Triangles::lower));
  const auto spectra = batch.finish();
  ASSERT_EQ(spectra.size(), matrices.size());
  for (std::size_t i = 0; i < spectra.size(); ++i) {
    ASSERT_EQ(spectra[i].values.size(), matrices[i].values.size());
    for (std::size_t k = 0; k < spectra[i].values.size(); ++k) {
      EXPECT_NEAR(spectra[i].values[k], matrices[i].values[k], allowed_error(matrices[i]));
    }
  }
  EXPECT_TRUE(batch.finish().empty());
}

TEST(FixSigns, MakesTheLargestComponentPositive) {
  std::vector<double> vectors{0.1, -0.9, 0.3, /**/ 0.5, 0.2, -0.1, /**/ -0.7, 0.7, 0.0};
  fix_signs(vectors, 3);
  const std::vector<double> expected{-0.1, 0.9, -0.3, /**/ 0.5, 0.2, -0.1, /**/ 0.7, -0.7, -0.0};
  EXPECT_EQ(vectors, expected);
}

}  // namespace
}  // namespace grokscope
