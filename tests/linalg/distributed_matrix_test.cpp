// Block sizes, layout, descriptors.
#include "linalg/distributed_matrix.hpp"

#include <gtest/gtest.h>

#include "every_rank_test.hpp"
#include "linalg/known_matrix.hpp"

namespace grokscope {
namespace {

using test::shapes_for;

TEST(BlockSize, LeavesNoProcessRowEmptyWhereThatCanBe) {
  EXPECT_EQ(default_block_size(11490), 64);
  EXPECT_EQ(default_block_size(500), 32);
  for (int ranks = 1; ranks <= 31; ++ranks) {
    for (const GridShape shape : {filling_shape(ranks), solving_shape(ranks)}) {
      for (std::int64_t n = 1; n < 3000; n += n < 100 ? 1 : 97) {
        const std::int64_t nb = default_block_size(n, shape);
        const int longest = std::max(shape.rows, shape.cols);
        if (n >= longest) {
          ASSERT_GT(BlockCyclic({n, nb, longest}).local_count(longest - 1), 0) << n << " on " << ranks;
        } else {
          ASSERT_EQ(nb, 1);
        }
      }
    }
  }
}

class DistributedMatrixTest : public EveryRankTest {};

TEST_F(DistributedMatrixTest, EveryElementLivesOnceAndWhereTheLayoutSays) {
  for (const GridShape shape : shapes_for(comm.size())) {
    ProcessGrid grid(comm, shape);
    for (const auto& [rows, cols, nb] : {std::array{7, 5, 2}, std::array{1, 1, 3}, std::array{40, 64, 7}}) {
      const DistributedMatrix matrix(rows, cols, nb, grid);
      std::vector<double> owners(static_cast<std::size_t>(rows * cols), 0.0);
      for (std::int64_t j = 0; j < matrix.local_cols(); ++j) {
        for (std::int64_t i = 0; i < matrix.local_rows(); ++i) {
          const std::int64_t i_glob = matrix.global_row(i);
          const std::int64_t j_glob = matrix.global_col(j);
          ASSERT_EQ(grid.rank_of(matrix.row_dist().owner(i_glob), matrix.col_dist().owner(j_glob)),
                    comm.rank());
          owners[static_cast<std::size_t>(i_glob + j_glob * rows)] += 1;
        }
      }
      comm.sum_in_rank_order(owners);
      for (const double count : owners) ASSERT_EQ(count, 1);
    }
    grid.release();
  }
}

TEST_F(DistributedMatrixTest, DescriptorIsScalapacks) {
  ProcessGrid grid(comm, filling_shape(comm.size()));
  const DistributedMatrix matrix(20, 30, 4, grid);
  const auto descriptor = matrix.descriptor();
  const std::array<int, 9> expected{
      1, grid.context(), 20, 30, 4, 4, 0, 0, static_cast<int>(matrix.local_ld())};
  EXPECT_EQ(descriptor, expected);
  EXPECT_GE(matrix.local_ld(), 1);
  grid.release();
}

TEST_F(DistributedMatrixTest, NonMembersHoldNothing) {
  ProcessGrid grid(comm, {1, 1});
  const DistributedMatrix matrix(9, 9, 4, grid);
  EXPECT_EQ(matrix.local().size(), comm.is_root() ? 81U : 0U);
  grid.release();
}

}  // namespace
}  // namespace grokscope
