// Shapes of grids, places on them, agreement with BLACS, split communicators.
#include "linalg/process_grid.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "every_rank_test.hpp"
#include "linalg/scalapack.hpp"

namespace grokscope {
namespace {

TEST(GridShape, FillingUsesEveryRankAndIsTheSquarestSuch) {
  EXPECT_EQ(filling_shape(1), (GridShape{1, 1}));
  EXPECT_EQ(filling_shape(6), (GridShape{2, 3}));
  EXPECT_EQ(filling_shape(13), (GridShape{1, 13}));
  EXPECT_EQ(filling_shape(16), (GridShape{4, 4}));
  EXPECT_EQ(filling_shape(28), (GridShape{4, 7}));
  for (int ranks = 1; ranks <= 31; ++ranks) {
    const auto shape = filling_shape(ranks);
    ASSERT_EQ(shape.size(), ranks);
    for (int rows = shape.rows + 1; rows * rows <= ranks; ++rows) EXPECT_NE(ranks % rows, 0) << ranks;
  }
}

TEST(GridShape, SolvingIsTheLargestOfAspectTwo) {
  EXPECT_EQ(solving_shape(1), (GridShape{1, 1}));
  EXPECT_EQ(solving_shape(2), (GridShape{1, 2}));
  EXPECT_EQ(solving_shape(3), (GridShape{1, 2}));
  EXPECT_EQ(solving_shape(5), (GridShape{2, 2}));
  EXPECT_EQ(solving_shape(7), (GridShape{2, 3}));
  EXPECT_EQ(solving_shape(13), (GridShape{3, 4}));
  EXPECT_EQ(solving_shape(18), (GridShape{3, 6}));
  EXPECT_EQ(solving_shape(31), (GridShape{5, 6}));
  for (int ranks = 1; ranks <= 31; ++ranks) {
    GridShape best{1, 1};
    for (int rows = 1; rows <= ranks; ++rows) {
      for (int cols = rows; cols <= 2 * rows && rows * cols <= ranks; ++cols) {
        const bool larger = rows * cols > best.size();
        const bool squarer = rows * cols == best.size() && cols - rows < best.cols - best.rows;
        if (larger || squarer) best = {rows, cols};
      }
    }
    EXPECT_EQ(solving_shape(ranks), best) << ranks;
  }
}

class ProcessGridTest : public EveryRankTest {};

TEST_F(ProcessGridTest, PlacesRanksRowByRowAndLeavesTheRestOut) {
  for (int rows = 1; rows <= comm.size(); ++rows) {
    for (int cols = 1; rows * cols <= comm.size(); ++cols) {
      ProcessGrid grid(comm, {rows, cols});
      EXPECT_EQ(grid.is_member(), comm.rank() < rows * cols);
      EXPECT_EQ(grid.context() >= 0, grid.is_member());
      if (grid.is_member()) {
        EXPECT_EQ(grid.rank_of(grid.row(), grid.col()), comm.rank());
        int blacs[4] = {};
        Cblacs_gridinfo(grid.context(), &blacs[0], &blacs[1], &blacs[2], &blacs[3]);
        EXPECT_EQ(blacs[0], rows);
        EXPECT_EQ(blacs[1], cols);
        EXPECT_EQ(blacs[2], comm.rank() / cols);
        EXPECT_EQ(blacs[3], comm.rank() % cols);
      }
      grid.release();
    }
  }
}

TEST_F(ProcessGridTest, WorksOnSplitCommunicators) {
  // Odd and even ranks build grids of their own at the same time, of different shapes.
  auto half = comm.split(comm.rank() % 2);
  ProcessGrid grid(half, comm.rank() % 2 == 0 ? filling_shape(half.size()) : GridShape{half.size(), 1});
  ASSERT_TRUE(grid.is_member());
  EXPECT_EQ(grid.rank_of(grid.row(), grid.col()), comm.rank() / 2);
  grid.release();
  half.free();
}

TEST_F(ProcessGridTest, ContextsAreGivenBack) {
  int highest = 0;
  for (int round = 0; round < 300; ++round) {
    ProcessGrid grid(comm, filling_shape(comm.size()));
    highest = std::max(highest, grid.context());
    grid.release();
    EXPECT_EQ(grid.context(), -1);
  }
  EXPECT_LT(highest, 10);
}

TEST_F(ProcessGridTest, MovingLeavesNothingToRelease) {
  ProcessGrid grid(comm, {1, 1});
  const int context = grid.context();
  ProcessGrid moved(std::move(grid));
  EXPECT_EQ(moved.context(), context);
  moved.release();
}

TEST_F(ProcessGridTest, RefusesAGridLargerThanItsCommunicator) {
  EXPECT_THROW(ProcessGrid(comm, {comm.size(), 2}), InternalError);
}

}  // namespace
}  // namespace grokscope
