// The choice of solver: names, grids without empty pieces, and the same answer every time.
#include "linalg/solver_choice.hpp"

#include <gtest/gtest.h>

#include "base/block_cyclic.hpp"
#include "base/error.hpp"

namespace grokscope {
namespace {

TEST(SolverChoice, TakesTheNamedSolver) {
  for (const char* name : {"lapack", "two_stage", "scalapack", "elpa1", "elpa2"}) {
    const auto choice = choose_solver({.n = 3000, .ranks = 6, .wanted = name});
    EXPECT_EQ(name_of(choice.solver), name);
    EXPECT_NE(choice.reason.find(name), std::string::npos);
  }
}

TEST(SolverChoice, RefusesUnknownNamesWithTheNearestOne) {
  try {
    choose_solver({.n = 10, .ranks = 1, .wanted = "elpa3"});
    FAIL() << "no error";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("elpa3"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("auto, lapack, two_stage, scalapack, elpa1, elpa2"), std::string::npos);
  }
}

TEST(SolverChoice, NeverLeavesAProcessWithoutElements) {
  for (const char* name : {"auto", "lapack", "two_stage", "scalapack", "elpa1", "elpa2"}) {
    for (int ranks = 1; ranks <= 31; ++ranks) {
      for (std::int64_t n = 1; n < 5000; n += n < 300 ? 1 : 331) {
        const auto choice = choose_solver({.n = n, .ranks = ranks, .wanted = name});
        ASSERT_LE(choice.shape.size(), ranks);
        const int longest = std::max(choice.shape.rows, choice.shape.cols);
        ASSERT_GT(BlockCyclic({n, choice.nb, longest}).local_count(longest - 1), 0)
            << name << " " << n << " on " << ranks;
        ASSERT_FALSE(choice.reason.empty());
      }
    }
  }
}

TEST(SolverChoice, LapackRunsOnOneRank) {
  const auto choice = choose_solver({.n = 4000, .ranks = 7, .wanted = "lapack"});
  EXPECT_EQ(choice.shape, (GridShape{1, 1}));
}

TEST(SolverChoice, TwoStageHasNoVectors) {
  EXPECT_THROW(choose_solver({.n = 4000, .ranks = 2, .wanted = "two_stage", .vectors = true}), UserError);
}

TEST(SolverChoice, AutoFollowsTheMeasuredTable) {
  for (const std::int64_t n : {1, 250, 2000}) EXPECT_EQ(choose_solver({.n = n, .ranks = 1}).solver, Solver::lapack);
  EXPECT_EQ(choose_solver({.n = 4000, .ranks = 1}).solver, Solver::two_stage);
  for (const int ranks : {2, 8, 31})
    EXPECT_EQ(choose_solver({.n = 500, .ranks = ranks}).solver, Solver::lapack);
  EXPECT_EQ(choose_solver({.n = 1000, .ranks = 2}).solver, Solver::two_stage);
  EXPECT_EQ(choose_solver({.n = 4000, .ranks = 8}).solver, Solver::two_stage);
  EXPECT_EQ(choose_solver({.n = 4000, .ranks = 8}).shape, (GridShape{2, 4}));
  EXPECT_EQ(choose_solver({.n = 4000, .ranks = 31}).solver, Solver::elpa2);
  // With vectors ELPA's first stage alone wins, and from two ranks on.
  EXPECT_EQ(choose_solver({.n = 4000, .ranks = 2, .vectors = true}).solver, Solver::elpa1);
  EXPECT_EQ(choose_solver({.n = 500, .ranks = 2, .vectors = true}).solver, Solver::lapack);
}

TEST(SolverChoice, ManyMatricesAreSolvedOneOnEachRank) {
  EXPECT_EQ(choose_solver({.n = 4000, .ranks = 4, .matrices = 7}).solver, Solver::lapack);
  EXPECT_EQ(choose_solver({.n = 4000, .ranks = 8, .matrices = 7}).solver, Solver::two_stage);
  EXPECT_EQ(choose_solver({.n = 20000, .ranks = 4, .matrices = 7}).solver, Solver::two_stage);
}

TEST(SolverChoice, KnowsTheLastSizeThat32BitsIndex) {
  const auto fits = [](std::int64_t n, int ranks) { return fits_32_bits(n, choose_solver({.n = n, .ranks = ranks, .wanted = "elpa1"})); };
  EXPECT_TRUE(fits(46'340, 1));  // 46,340^2 < 2^31 < 46,341^2
  EXPECT_FALSE(fits(46'341, 1));
  EXPECT_TRUE(fits(65'535, 2));  // 65,535 x 32,768: the first of two processes has a block more than half
  EXPECT_FALSE(fits(65'536, 2));
  EXPECT_TRUE(fits(92'672, 4));  // 46,336 x 46,336
  EXPECT_FALSE(fits(92'736, 4));  // 46,400 x 46,400
}

TEST(SolverChoice, AnEmptyMatrixIsLapacks) {
  EXPECT_EQ(choose_solver({.n = 0, .ranks = 4}).solver, Solver::lapack);
}

}  // namespace
}  // namespace grokscope
