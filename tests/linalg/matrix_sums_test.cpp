// Traces, norms and sums against values known in closed form.
#include "linalg/matrix_sums.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "every_rank_test.hpp"
#include "linalg/known_matrix.hpp"
#include "linalg/symmetric_product.hpp"

namespace grokscope {
namespace {

using test::deal;
using test::harmonic;
using test::KnownMatrix;
using test::shapes_for;
using test::with_elements;
using test::with_spectrum;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

/// K(i, j) = i + j: every sum below is known as an integer.
KnownMatrix index_sum(std::int64_t n) {
  return with_elements(n, [](std::int64_t i, std::int64_t j) { return static_cast<double>(i + j); });
}

class MatrixSumsTest : public EveryRankTest {
 protected:
  /// Runs `check` on a matrix dealt to every shape of grid, full and lower-only.
  template <class Check>
  void on_every_layout(const KnownMatrix& known, Check check) {
    for (const GridShape shape : shapes_for(comm.size())) {
      ProcessGrid grid(comm, shape);
      for (const Triangles triangles : {Triangles::full, Triangles::lower}) {
        for (const std::int64_t nb : {1, 4, 64}) check(deal(known, nb, grid, triangles));
      }
      grid.release();
    }
  }
};

TEST_F(MatrixSumsTest, AreExactForIntegers) {
  const std::int64_t n = 37;
  on_every_layout(index_sum(n), [&](const DistributedMatrix& matrix) {
    EXPECT_EQ(trace(matrix), static_cast<double>(n * (n - 1)));
    EXPECT_EQ(max_abs(matrix), static_cast<double>(2 * (n - 1)));
    EXPECT_EQ(quadratic_form_ones(matrix), static_cast<double>(n * n * (n - 1)));
    // sum (i + j)^2 = 2 n sum i^2 + 2 (sum i)^2
    const double squares = 2.0 * n * (n - 1) * n * (2 * n - 1) / 6 + 2.0 * std::pow(n * (n - 1) / 2, 2);
    EXPECT_NEAR(frobenius_norm(matrix), std::sqrt(squares), 1e-15 * std::sqrt(squares));
    const auto sums = row_sums(matrix);
    ASSERT_EQ(static_cast<std::int64_t>(sums.size()), n);
    for (std::int64_t i = 0; i < n; ++i)
      EXPECT_EQ(sums[static_cast<std::size_t>(i)], static_cast<double>(n * i + n * (n - 1) / 2));
    EXPECT_TRUE(is_finite(matrix));
  });
}

TEST_F(MatrixSumsTest, MultipliesVectors) {
  const std::int64_t n = 45;
  const std::int64_t k = 3;
  const auto known = with_spectrum(harmonic(n));
  std::vector<double> x(static_cast<std::size_t>(n * k));
  RandomStream stream(1, "x");
  for (double& value : x) value = stream.normal();
  std::vector<long double> expected(x.size(), 0.0L);
  for (std::int64_t c = 0; c < k; ++c) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t i = 0; i < n; ++i) {
        expected[static_cast<std::size_t>(i + c * n)] +=
            static_cast<long double>(known.at(i, j)) * x[static_cast<std::size_t>(j + c * n)];
      }
    }
  }
  on_every_layout(known, [&](const DistributedMatrix& matrix) {
    const auto y = symmetric_multiply(matrix, x, k);
    ASSERT_EQ(y.size(), x.size());
    for (std::size_t e = 0; e < y.size(); ++e) EXPECT_NEAR(y[e], static_cast<double>(expected[e]), 1e-14);
    EXPECT_EQ(y, symmetric_multiply(matrix, x, k)) << "the same product twice must have the same bits";
  });
}

TEST_F(MatrixSumsTest, SeeEveryNaNAndInf) {
  for (const double poison : {kNaN, kInf, -kInf}) {
    auto known = index_sum(20);
    known.elements[17 + 3 * 20] = known.elements[3 + 17 * 20] = poison;
    on_every_layout(known, [&](const DistributedMatrix& matrix) {
      EXPECT_FALSE(is_finite(matrix));
      EXPECT_EQ(std::isnan(max_abs(matrix)), std::isnan(poison));
      EXPECT_FALSE(std::isfinite(frobenius_norm(matrix)));
    });
  }
}

TEST_F(MatrixSumsTest, DoNotOverflowOrUnderflow) {
  for (const double size : {1e200, 1e-200}) {
    auto known = index_sum(12);
    for (double& x : known.elements) x *= size;
    const double norm = std::sqrt(2.0 * 12 * 506 + 2.0 * 66 * 66);
    on_every_layout(known, [&](const DistributedMatrix& matrix) {
      EXPECT_NEAR(frobenius_norm(matrix) / size, norm, 1e-13 * norm);
    });
  }
}

TEST_F(MatrixSumsTest, TraceDoesNotCancel) {
  // 1e16 + 1 - 1e16 + 1 - ...: a plain sum loses the ones.
  const std::int64_t n = 30;
  KnownMatrix known{n, {}, std::vector<double>(static_cast<std::size_t>(n * n))};
  for (std::int64_t i = 0; i < n; ++i) {
    known.elements[static_cast<std::size_t>(i * (n + 1))] = i % 3 == 0 ? 1e16 : i % 3 == 1 ? 1.0 : -1e16;
  }
  ProcessGrid grid(comm, {1, 1});
  EXPECT_EQ(trace(deal(known, 4, grid)), 10.0);
  grid.release();
}

TEST_F(MatrixSumsTest, ScalesAndAdds) {
  ProcessGrid grid(comm, filling_shape(comm.size()));
  auto y = deal(index_sum(15), 4, grid);
  const auto x = y;
  scale(y, -2.0);
  add_scaled(y, 5.0, x);
  for (std::size_t e = 0; e < y.local().size(); ++e) ASSERT_EQ(y.local()[e], 3.0 * x.local()[e]);
  EXPECT_THROW(add_scaled(y, 1.0, deal(index_sum(15), 3, grid)), InternalError);
  grid.release();
}

}  // namespace
}  // namespace grokscope
