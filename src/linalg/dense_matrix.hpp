// What do small column-major matrices held by one process look like?
// Blocks of vectors, projected matrices, pieces of a distributed matrix. One GEMM; nothing here communicates.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "linalg/lapack.hpp"

namespace grokscope {

/// A window on column-major storage that somebody else owns.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t ld = 1;

  operator MatrixView<const T>() const requires(!std::is_const_v<T>) { return {data, rows, cols, ld}; }
};

struct DenseMatrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<double> values;

  DenseMatrix() = default;
  /// Zeros.
  DenseMatrix(std::int64_t rows_, std::int64_t cols_)
      : rows(rows_), cols(cols_), values(static_cast<std::size_t>(rows_ * cols_)) {}
  DenseMatrix(std::int64_t rows_, std::int64_t cols_, std::vector<double> values_)
      : rows(rows_), cols(cols_), values(std::move(values_)) {}

  double& at(std::int64_t i, std::int64_t j) { return values[static_cast<std::size_t>(i + j * rows)]; }
  double at(std::int64_t i, std::int64_t j) const { return values[static_cast<std::size_t>(i + j * rows)]; }
  double* column(std::int64_t j) { return values.data() + j * rows; }
  const double* column(std::int64_t j) const { return values.data() + j * rows; }

  /// `count` columns from `begin` on.
  MatrixView<double> columns(std::int64_t begin, std::int64_t count) {
    return {column(begin), rows, count, ld()};
  }
  MatrixView<const double> columns(std::int64_t begin, std::int64_t count) const {
    return {column(begin), rows, count, ld()};
  }
  MatrixView<double> view() { return columns(0, cols); }
  MatrixView<const double> view() const { return columns(0, cols); }

 private:
  std::int64_t ld() const { return rows > 0 ? rows : 1; }
};

enum class Op { none, transpose };

/// c = alpha op(a) b + beta c. Local.
inline void gemm(double alpha, Op op, MatrixView<const double> a, MatrixView<const double> b, double beta,
                 MatrixView<double> c) {
  if (c.rows == 0 || c.cols == 0) return;
  const int m = fortran_int(c.rows);
  const int n = fortran_int(c.cols);
  const int k = fortran_int(b.rows);
  const int lda = fortran_int(a.ld);
  const int ldb = fortran_int(b.ld);
  const int ldc = fortran_int(c.ld);
  dgemm_(op == Op::transpose ? "T" : "N", "N", &m, &n, &k, &alpha, a.data, &lda, b.data, &ldb, &beta, c.data,
         &ldc);
}

}  // namespace grokscope
