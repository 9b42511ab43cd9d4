#include "linalg/symmetric_product.hpp"

#include <algorithm>

#include "linalg/dense_matrix.hpp"

namespace grokscope {
namespace {

/// The rows of X that meet this rank's matrix rows (or its matrix columns).
DenseMatrix take_rows(std::span<const double> x, std::int64_t k, const BlockCyclic& dist, int process) {
  DenseMatrix taken(dist.local_count(process), k);
  for (std::int64_t c = 0; c < k; ++c) {
    for (std::int64_t i = 0; i < taken.rows; ++i) {
      taken.at(i, c) = x[static_cast<std::size_t>(dist.global_index(i, process) + c * dist.n)];
    }
  }
  return taken;
}

void add_rows(const DenseMatrix& part, const BlockCyclic& dist, int process, std::vector<double>& y) {
  for (std::int64_t c = 0; c < part.cols; ++c) {
    for (std::int64_t i = 0; i < part.rows; ++i) {
      y[static_cast<std::size_t>(dist.global_index(i, process) + c * dist.n)] += part.at(i, c);
    }
  }
}

/// Copies one block column of a lower-only matrix from local row `i_begin` down, with zeros above the
/// diagonal.
DenseMatrix lower_panel(const DistributedMatrix& matrix, IndexRange cols, std::int64_t i_begin) {
  DenseMatrix panel(matrix.local_rows() - i_begin, cols.size());
  for (std::int64_t c = 0; c < panel.cols; ++c) {
    for (std::int64_t i = matrix.first_stored_row(cols.begin + c); i < matrix.local_rows(); ++i) {
      panel.at(i - i_begin, c) = matrix.local_at(i, cols.begin + c);
    }
  }
  return panel;
}

/// So that the transposed use of the panel does not count the diagonal twice.
void clear_diagonal(DenseMatrix& panel, const DistributedMatrix& matrix, IndexRange cols,
                    std::int64_t i_begin) {
  for (std::int64_t c = 0; c < panel.cols; ++c) {
    const std::int64_t j_glob = matrix.global_col(cols.begin + c);
    if (matrix.row_dist().owner(j_glob) != matrix.grid().row()) continue;
    panel.at(matrix.row_dist().local_index(j_glob) - i_begin, c) = 0;
  }
}

/// What this rank's elements contribute when each stands for itself only: one GEMM.
void add_full(const DistributedMatrix& matrix, std::span<const double> x, std::int64_t k,
              std::vector<double>& y) {
  const auto x_cols = take_rows(x, k, matrix.col_dist(), matrix.grid().col());
  DenseMatrix y_rows(matrix.local_rows(), k);
  gemm(1, Op::none, {matrix.local().data(), matrix.local_rows(), matrix.local_cols(), matrix.local_ld()},
       x_cols.view(), 0, y_rows.view());
  add_rows(y_rows, matrix.row_dist(), matrix.grid().row(), y);
}

/// What they contribute when those below the diagonal also stand for their mirror images: two GEMMs a block
/// column.
void add_lower(const DistributedMatrix& matrix, std::span<const double> x, std::int64_t k,
               std::vector<double>& y) {
  const auto x_cols = take_rows(x, k, matrix.col_dist(), matrix.grid().col());
  const auto x_rows = take_rows(x, k, matrix.row_dist(), matrix.grid().row());
  DenseMatrix y_cols(matrix.local_cols(), k);
  DenseMatrix y_rows(matrix.local_rows(), k);
  for (std::int64_t begin = 0; begin < matrix.local_cols(); begin += matrix.nb()) {
    const IndexRange cols{begin, std::min(begin + matrix.nb(), matrix.local_cols())};
    const std::int64_t i_begin = matrix.first_stored_row(begin);
    auto panel = lower_panel(matrix, cols, i_begin);
    gemm(1, Op::none, panel.view(), {x_cols.values.data() + begin, cols.size(), k, x_cols.rows}, 1,
         {y_rows.values.data() + i_begin, panel.rows, k, std::max<std::int64_t>(1, y_rows.rows)});
    clear_diagonal(panel, matrix, cols, i_begin);
    gemm(1, Op::transpose, panel.view(),
         {x_rows.values.data() + i_begin, panel.rows, k, std::max<std::int64_t>(1, x_rows.rows)}, 1,
         {y_cols.values.data() + begin, cols.size(), k, y_cols.rows});
  }
  add_rows(y_rows, matrix.row_dist(), matrix.grid().row(), y);
  add_rows(y_cols, matrix.col_dist(), matrix.grid().col(), y);
}

}  // namespace

std::vector<double> symmetric_multiply(const DistributedMatrix& matrix, std::span<const double> x,
                                       std::int64_t k) {
  require(matrix.rows() == matrix.cols(), "a symmetric product needs a square matrix");
  require(static_cast<std::int64_t>(x.size()) == matrix.rows() * k, "X must be n x k");
  std::vector<double> y(x.size());
  if (matrix.grid().is_member()) {
    if (matrix.triangles() == Triangles::full) {
      add_full(matrix, x, k, y);
    } else {
      add_lower(matrix, x, k, y);
    }
  }
  matrix.comm().sum_slices_in_rank_order<double>(y);
  return y;
}

}  // namespace grokscope
