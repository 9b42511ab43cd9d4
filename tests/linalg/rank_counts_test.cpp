// Odd rank counts, few elements per rank: grid, mirror, one solve with each solver and top pairs.
#include <gtest/gtest.h>

#include "linalg/eigensolver.hpp"
#include "linalg/filling_grid_test.hpp"
#include "linalg/known_matrix.hpp"
#include "linalg/lanczos.hpp"
#include "linalg/redistribution.hpp"

namespace grokscope {
namespace {

class RankCountsTest : public FillingGridTest {};

TEST_F(RankCountsTest, OneSolveWithEachSolver) {
  const auto known = test::with_spectrum(test::harmonic(100));
  auto matrix = test::deal(known, default_block_size(known.n, grid.shape()), grid, Triangles::lower);
  mirror_lower(matrix);
  for (const char* name : {"lapack", "two_stage", "scalapack", "elpa1", "elpa2"}) {
    const auto spectrum =
        solve_eigenvalues(matrix, choose_solver({.n = known.n, .ranks = comm.size(), .wanted = name}));
    for (std::size_t i = 0; i < known.values.size(); ++i)
      ASSERT_NEAR(spectrum.values[i], known.values[i], 2.3e-14) << name;
  }
  const auto top = top_eigenpairs(matrix, 2, {});
  EXPECT_NEAR(top.pairs.values[0], 1.0, 2.3e-14);
  EXPECT_NEAR(top.pairs.values[1], 0.5, 2.3e-14);
}

}  // namespace
}  // namespace grokscope
