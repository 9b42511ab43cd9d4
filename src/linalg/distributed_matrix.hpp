// Where does each matrix element live?
// A float64 matrix dealt to a process grid in square blocks (ScaLAPACK's 2-D block-cyclic layout), each
// process's piece column-major. The owner of the pieces fills them directly; the operations on whole matrices
// are in redistribution.hpp, matrix_sums.hpp and symmetric_product.hpp. Knows which triangles hold data,
// because solvers read different ones.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/block_cyclic.hpp"
#include "linalg/process_grid.hpp"

namespace grokscope {

/// Which part of a symmetric matrix holds data. What lies outside `lower` is never read.
enum class Triangles { full, lower };

/// Returns the block size for an n x n matrix on a grid: 64, 32 for small n, halved further until no process
/// row or column of the grid is empty, where n allows that. Local.
std::int64_t default_block_size(std::int64_t n, GridShape shape = {});

class DistributedMatrix {
 public:
  /// Makes a zero matrix. Memory per rank: 8 rows cols / (processes of the grid) bytes. `grid` must outlive
  /// it. Local.
  DistributedMatrix(std::int64_t rows, std::int64_t cols, std::int64_t nb, const ProcessGrid& grid);

  std::int64_t rows() const { return row_dist_.n; }
  std::int64_t cols() const { return col_dist_.n; }
  std::int64_t nb() const { return row_dist_.nb; }
  const ProcessGrid& grid() const { return *grid_; }
  const Communicator& comm() const { return grid_->comm(); }

  /// Size of this process's piece: 0 x 0 on a non-member.
  std::int64_t local_rows() const { return local_rows_; }
  std::int64_t local_cols() const { return local_cols_; }
  /// Distance between columns of local(); at least 1, as ScaLAPACK wants it.
  std::int64_t local_ld() const { return local_rows_ > 0 ? local_rows_ : 1; }
  std::span<double> local() { return local_; }
  std::span<const double> local() const { return local_; }
  double& local_at(std::int64_t i_loc, std::int64_t j_loc) {
    return local_[static_cast<std::size_t>(i_loc + j_loc * local_ld())];
  }
  double local_at(std::int64_t i_loc, std::int64_t j_loc) const {
    return local_[static_cast<std::size_t>(i_loc + j_loc * local_ld())];
  }

  const BlockCyclic& row_dist() const { return row_dist_; }
  const BlockCyclic& col_dist() const { return col_dist_; }
  std::int64_t global_row(std::int64_t i_loc) const { return row_dist_.global_index(i_loc, grid_->row()); }
  std::int64_t global_col(std::int64_t j_loc) const { return col_dist_.global_index(j_loc, grid_->col()); }

  /// First local row of local column `j_loc` that holds data: 0 for a full matrix, else the first on or below
  /// the diagonal.
  std::int64_t first_stored_row(std::int64_t j_loc) const;

  Triangles triangles() const { return triangles_; }
  void set_triangles(Triangles triangles) { triangles_ = triangles; }

  /// ScaLAPACK's array descriptor.
  std::array<int, 9> descriptor() const;

  /// True when both are dealt to the same shape of grid in the same blocks.
  bool same_layout(const DistributedMatrix& other) const;

 private:
  const ProcessGrid* grid_;
  BlockCyclic row_dist_;
  BlockCyclic col_dist_;
  std::int64_t local_rows_ = 0;
  std::int64_t local_cols_ = 0;
  Triangles triangles_ = Triangles::full;
  std::vector<double> local_;
};

}  // namespace grokscope
