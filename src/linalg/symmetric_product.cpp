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

/// Copies the rows of a block column that cross the diagonal, with zeros above it. With `keep_diagonal` false the diagonal
/// is zero too, so that the transposed use does not count it twice.
DenseMatrix diagonal_rows(const DistributedMatrix& matrix, IndexRange cols, IndexRange rows, bool keep_diagonal) {
  DenseMatrix block(rows.size(), cols.size());
  for (std::int64_t c = 0; c < block.cols; ++c) {
    const std::int64_t j_glob = matrix.global_col(cols.begin + c);
    for (std::int64_t i = rows.begin; i < rows.end; ++i) {
      const std::int64_t i_glob = matrix.global_row(i);
      if (i_glob > j_glob || (keep_diagonal && i_glob == j_glob)) {
        block.at(i - rows.begin, c) = matrix.local_at(i, cols.begin + c);
      }
    }
  }
  return block;
}

/// y_rows += A x_cols and y_cols += A^T x_rows for single vectors, reading A once.
void add_both(MatrixView<const double> a, const double* x_cols, const double* x_rows, double* y_rows, double* y_cols) {
  constexpr std::int64_t kLanes = 8;
  for (std::int64_t j = 0; j < a.cols; ++j) {
    const double* column = a.data + j * a.ld;
    const double x = x_cols[j];
    double lanes[kLanes] = {};
    std::int64_t i = 0;
    for (; i + kLanes <= a.rows; i += kLanes) {
      for (std::int64_t l = 0; l < kLanes; ++l) {
        y_rows[i + l] += column[i + l] * x;
        lanes[l] += column[i + l] * x_rows[i + l];
      }
    }
    for (; i < a.rows; ++i) {
      y_rows[i] += column[i] * x;
      lanes[0] += column[i] * x_rows[i];
    }
    y_cols[j] += ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
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
  // y_rows += A x and y_cols += A^T x for rows i_begin.. of one block column. For one vector both in one pass over A.
  const auto add = [&](MatrixView<const double> a, std::int64_t i_begin, IndexRange cols, bool transposed) {
    const MatrixView<const double> in_cols{x_cols.values.data() + cols.begin, cols.size(), k, x_cols.rows};
    const MatrixView<const double> in_rows{x_rows.values.data() + i_begin, a.rows, k, std::max<std::int64_t>(1, x_rows.rows)};
    if (transposed) {
      gemm(1, Op::transpose, a, in_rows, 1, {y_cols.values.data() + cols.begin, cols.size(), k, y_cols.rows});
    } else {
      gemm(1, Op::none, a, in_cols, 1, {y_rows.values.data() + i_begin, a.rows, k, std::max<std::int64_t>(1, y_rows.rows)});
    }
  };
  for (std::int64_t begin = 0; begin < matrix.local_cols(); begin += matrix.nb()) {
    const IndexRange cols{begin, std::min(begin + matrix.nb(), matrix.local_cols())};
    const std::int64_t past_diagonal =
        matrix.row_dist().local_lower_bound(matrix.global_col(cols.end - 1) + 1, matrix.grid().row());
    const IndexRange crossing{matrix.first_stored_row(begin), past_diagonal};
    if (crossing.size() > 0) {
      add(diagonal_rows(matrix, cols, crossing, true).view(), crossing.begin, cols, false);
      add(diagonal_rows(matrix, cols, crossing, false).view(), crossing.begin, cols, true);
    }
    if (past_diagonal < matrix.local_rows()) {
      const MatrixView<const double> below{matrix.local().data() + past_diagonal + begin * matrix.local_ld(),
                                  matrix.local_rows() - past_diagonal, cols.size(), matrix.local_ld()};
      if (k == 1) {
        add_both(below, x_cols.values.data() + begin, x_rows.values.data() + past_diagonal,
                 y_rows.values.data() + past_diagonal, y_cols.values.data() + begin);
        continue;
      }
      add(below, past_diagonal, cols, false);
      add(below, past_diagonal, cols, true);
    }
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
