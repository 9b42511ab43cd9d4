// Mirroring, moving and gathering copy every element bit by bit, whatever the grids.
#include "linalg/redistribution.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "every_rank_test.hpp"
#include "linalg/known_matrix.hpp"

namespace grokscope {
namespace {

using test::deal;
using test::shapes_for;
using test::with_elements;

class RedistributionTest : public EveryRankTest {};

/// A rectangular matrix whose element (i, j) tells where it belongs.
DistributedMatrix numbered(std::int64_t rows, std::int64_t cols, std::int64_t nb, const ProcessGrid& grid) {
  DistributedMatrix matrix(rows, cols, nb, grid);
  for (std::int64_t j = 0; j < matrix.local_cols(); ++j) {
    for (std::int64_t i = 0; i < matrix.local_rows(); ++i) {
      matrix.local_at(i, j) =
          1000.0 * static_cast<double>(matrix.global_row(i)) + static_cast<double>(matrix.global_col(j));
    }
  }
  return matrix;
}

void expect_same_bits(const DistributedMatrix& a, const DistributedMatrix& b) {
  ASSERT_EQ(a.local().size(), b.local().size());
  EXPECT_EQ(std::memcmp(a.local().data(), b.local().data(), a.local().size_bytes()), 0);
}

TEST_F(RedistributionTest, MirrorsTheLowerTriangleExactly) {
  for (const std::int64_t n : {1, 2, 13, 64, 101}) {
    // Not symmetric by rounding luck: every element has its own bits.
    const auto known = with_elements(n, [](std::int64_t i, std::int64_t j) {
      const auto [low, high] = std::minmax({static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(j)});
      return RandomStream(3, "mirror", high, low).normal();
    });
    for (const GridShape shape : shapes_for(comm.size())) {
      ProcessGrid grid(comm, shape);
      for (const std::int64_t nb : {1, 4, 32}) {
        auto matrix = deal(known, nb, grid, Triangles::lower);
        mirror_lower(matrix);
        EXPECT_EQ(matrix.triangles(), Triangles::full);
        expect_same_bits(matrix, deal(known, nb, grid));
      }
      grid.release();
    }
  }
}

TEST_F(RedistributionTest, MirroringAFullMatrixChangesNothing) {
  ProcessGrid grid(comm, filling_shape(comm.size()));
  auto matrix = numbered(9, 9, 2, grid);
  mirror_lower(matrix);
  expect_same_bits(matrix, numbered(9, 9, 2, grid));
  grid.release();
}

TEST_F(RedistributionTest, CopiesTheLowerTriangleOfADiagonalBlock) {
  constexpr std::int64_t kSize = 23;
  for (const GridShape shape : shapes_for(comm.size())) {
    ProcessGrid grid(comm, shape);
    const auto whole = numbered(kSize, kSize, 4, grid);
    for (const IndexRange range : {IndexRange{0, kSize}, {0, 5}, {3, 17}, {22, 23}, {9, 9}}) {
      for (const std::int64_t nb : {1, 3, 32}) {
        const auto block = diagonal_block(whole, range, nb);
        EXPECT_EQ(block.rows(), range.size());
        EXPECT_EQ(block.triangles(), Triangles::lower);
        for (std::int64_t j = 0; j < block.local_cols(); ++j) {
          for (auto i = block.first_stored_row(j); i < block.local_rows(); ++i) {
            const auto row = range.begin + block.global_row(i), col = range.begin + block.global_col(j);
            ASSERT_EQ(block.local_at(i, j), 1000.0 * static_cast<double>(row) + static_cast<double>(col)) << row << " " << col;
          }
        }
      }
    }
    grid.release();
  }
}

TEST_F(RedistributionTest, MovesBetweenAnyTwoGrids) {
  for (const GridShape from : shapes_for(comm.size())) {
    for (const GridShape to : shapes_for(comm.size())) {
      ProcessGrid from_grid(comm, from);
      ProcessGrid to_grid(comm, to);
      for (const auto& [rows, cols] :
           {std::array{53, 53}, std::array{1, 1}, std::array{17, 90}, std::array{90, 2}}) {
        for (const std::int64_t nb : {1, 5, 64}) {
          const auto moved = move_to(numbered(rows, cols, 3, from_grid), to_grid, nb);
          expect_same_bits(moved, numbered(rows, cols, nb, to_grid));
        }
      }
      to_grid.release();
      from_grid.release();
    }
  }
}

TEST_F(RedistributionTest, MovingInManyPanelsIsTheSame) {
  // 6000 x 3000 passes the size of one panel for a few ranks.
  ProcessGrid from_grid(comm, filling_shape(comm.size()));
  ProcessGrid to_grid(comm, {1, 1});
  const auto moved = move_to(numbered(6000, 3000, 64, from_grid), to_grid, 32);
  expect_same_bits(moved, numbered(6000, 3000, 32, to_grid));
  to_grid.release();
  from_grid.release();
}

TEST_F(RedistributionTest, MovingKeepsTheTriangles) {
  ProcessGrid grid(comm, filling_shape(comm.size()));
  auto matrix = numbered(8, 8, 2, grid);
  matrix.set_triangles(Triangles::lower);
  EXPECT_EQ(move_to(matrix, grid, 3).triangles(), Triangles::lower);
  grid.release();
}

TEST_F(RedistributionTest, GathersColumnMajorOnTheRoot) {
  for (const GridShape shape : shapes_for(comm.size())) {
    ProcessGrid grid(comm, shape);
    const auto whole = gather_to_root(numbered(31, 12, 4, grid));
    ASSERT_EQ(whole.size(), comm.is_root() ? 31U * 12U : 0U);
    for (std::size_t e = 0; e < whole.size(); ++e) {
      ASSERT_EQ(whole[e], 1000.0 * static_cast<double>(e % 31) + static_cast<double>(e / 31));
    }
    grid.release();
  }
}

}  // namespace
}  // namespace grokscope
