#include "linalg/distributed_matrix.hpp"

#include <algorithm>

#include "linalg/lapack.hpp"

namespace grokscope {

std::int64_t default_block_size(std::int64_t n, GridShape shape) {
  const std::int64_t longest = std::max(shape.rows, shape.cols);
  std::int64_t nb = n < 1024 ? 32 : 64;
  while (nb > 1 && (n + nb - 1) / nb < longest) nb /= 2;
  return nb;
}

DistributedMatrix::DistributedMatrix(std::int64_t rows, std::int64_t cols, std::int64_t nb,
                                     const ProcessGrid& grid)
    : grid_(&grid), row_dist_{rows, nb, grid.shape().rows}, col_dist_{cols, nb, grid.shape().cols} {
  require(rows >= 0 && cols >= 0 && nb >= 1, "a distributed matrix with a negative size or no block size");
  if (grid.is_member()) {
    local_rows_ = row_dist_.local_count(grid.row());
    local_cols_ = col_dist_.local_count(grid.col());
  }
  local_.resize(static_cast<std::size_t>(local_rows_ * local_cols_));
}

std::int64_t DistributedMatrix::first_stored_row(std::int64_t j_loc) const {
  if (triangles_ == Triangles::full) return 0;
  return row_dist_.local_lower_bound(global_col(j_loc), grid_->row());
}

std::array<int, 9> DistributedMatrix::descriptor() const {
  constexpr int kDense = 1;
  const int nb_int = fortran_int(nb());
  return {kDense, grid_->context(),       fortran_int(rows()), fortran_int(cols()), nb_int, nb_int, 0,
          0,      fortran_int(local_ld())};
}

bool DistributedMatrix::same_layout(const DistributedMatrix& other) const {
  return rows() == other.rows() && cols() == other.cols() && nb() == other.nb() &&
         grid_->shape() == other.grid_->shape();
}

}  // namespace grokscope
