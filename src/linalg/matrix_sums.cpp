#include "linalg/matrix_sums.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <span>

#include "linalg/symmetric_product.hpp"

namespace grokscope {
namespace {

/// Neumaier's compensated sum: its error does not grow with the number of terms.
class CompensatedSum {
 public:
  void add(double x) {
    const double sum = sum_ + x;
    lost_ += std::abs(sum_) >= std::abs(x) ? (sum_ - sum) + x : (x - sum) + sum_;
    sum_ = sum;
  }
  double value() const { return sum_ + lost_; }

 private:
  double sum_ = 0;
  double lost_ = 0;
};

double sum_over_ranks(const DistributedMatrix& matrix, double mine) {
  matrix.comm().sum_in_rank_order({&mine, 1});
  return mine;
}

/// Calls visit with the stored part of each of this rank's columns.
template <class Visit>
void for_each_stored_column(const DistributedMatrix& matrix, Visit visit) {
  for (std::int64_t j_loc = 0; j_loc < matrix.local_cols(); ++j_loc) {
    const auto first = matrix.first_stored_row(j_loc);
    if (first >= matrix.local_rows()) continue;
    visit(matrix.local().subspan(static_cast<std::size_t>(first + j_loc * matrix.local_ld()),
                                 static_cast<std::size_t>(matrix.local_rows() - first)));
  }
}

/// Sum of (s x)^2 over one column. Eight partial sums: vector registers, and an error that grows with n / 8 only.
double scaled_square_sum(std::span<const double> column, double s) {
  constexpr std::size_t kLanes = 8;
  double lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= column.size(); i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] += (s * column[i + l]) * (s * column[i + l]);
  }
  for (; i < column.size(); ++i) lanes[0] += (s * column[i]) * (s * column[i]);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

/// Visits this rank's diagonal elements.
template <class Visit>
void for_each_diagonal(const DistributedMatrix& matrix, Visit visit) {
  for (std::int64_t j_loc = 0; j_loc < matrix.local_cols(); ++j_loc) {
    const std::int64_t j_glob = matrix.global_col(j_loc);
    if (j_glob >= matrix.rows() || matrix.row_dist().owner(j_glob) != matrix.grid().row()) continue;
    visit(matrix.local_at(matrix.row_dist().local_index(j_glob), j_loc));
  }
}

bool has_nan(const DistributedMatrix& matrix) {
  bool found = false;
  for_each_stored_column(matrix, [&](std::span<const double> column) {
    found = found || std::any_of(column.begin(), column.end(), [](double x) { return std::isnan(x); });
  });
  return found;
}

double square_sum(const DistributedMatrix& matrix, double s) {
  CompensatedSum sum;
  for_each_stored_column(matrix, [&](std::span<const double> column) { sum.add(scaled_square_sum(column, s)); });
  double squares = sum.value();
  if (matrix.triangles() == Triangles::lower) {
    CompensatedSum diagonal;
    for_each_diagonal(matrix, [&](double x) { diagonal.add((s * x) * (s * x)); });
    squares = 2 * squares - diagonal.value();
  }
  return sum_over_ranks(matrix, squares);
}

/// The norm whose plain sum of squares left the range of doubles.
double scaled_frobenius_norm(const DistributedMatrix& matrix) {
  const double largest = max_abs(matrix);
  if (largest == 0 || !std::isfinite(largest)) return largest;
  const double s = std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));  // exact, and nothing overflows
  return std::sqrt(square_sum(matrix, s)) / s;
}

/// Sums of squares in this range lost nothing that counts to underflow or overflow.
bool is_safe(double squares) { return squares > 1e-250 && squares < 1e300; }

struct ColumnSums {
  double sum = 0;
  double squares = 0;
};

/// Sums n elements of one column, adds them to the sums of their rows and, where wanted, to another matrix.
template <bool kAddToTotal>
ColumnSums add_column(const double* __restrict x, std::int64_t n, double* __restrict row_sums, double* __restrict total) {
  constexpr std::int64_t kLanes = 8;
  double sums[kLanes] = {}, squares[kLanes] = {};
  const auto visit = [&](std::int64_t i, std::int64_t lane) {
    sums[lane] += x[i];
    squares[lane] += x[i] * x[i];
    row_sums[i] += x[i];
    if constexpr (kAddToTotal) total[i] += x[i];
  };
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t l = 0; l < kLanes; ++l) visit(i + l, l);
  }
  for (; i < n; ++i) visit(i, 0);
  const auto add_up = [](const double (&v)[kLanes]) {
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
  };
  return {add_up(sums), add_up(squares)};
}

}  // namespace

double trace(const DistributedMatrix& matrix) {
  CompensatedSum sum;
  for_each_diagonal(matrix, [&](double x) { sum.add(x); });
  return sum_over_ranks(matrix, sum.value());
}

double frobenius_norm(const DistributedMatrix& matrix) {
  const double squares = square_sum(matrix, 1);
  return is_safe(squares) ? std::sqrt(squares) : scaled_frobenius_norm(matrix);
}

double max_abs(const DistributedMatrix& matrix) {
  constexpr std::size_t kLanes = 8;
  double lanes[kLanes] = {};
  double nan_lanes[kLanes] = {};  // x - x is 0, or NaN where x is NaN or infinite
  for_each_stored_column(matrix, [&](std::span<const double> column) {
    std::size_t i = 0;
    for (; i + kLanes <= column.size(); i += kLanes) {
      for (std::size_t l = 0; l < kLanes; ++l) {
        const double magnitude = std::abs(column[i + l]);
        lanes[l] = magnitude > lanes[l] ? magnitude : lanes[l];
        nan_lanes[l] += column[i + l] - column[i + l];
      }
    }
    for (; i < column.size(); ++i) {
      lanes[0] = std::max(lanes[0], std::abs(column[i]));
      nan_lanes[0] += column[i] - column[i];
    }
  });
  const double largest = *std::max_element(std::begin(lanes), std::end(lanes));
  const bool suspicious = std::any_of(std::begin(nan_lanes), std::end(nan_lanes), [](double x) { return std::isnan(x); });
  // MPI's maximum of a NaN is not specified, so that it travels on its own; infinities are not NaN.
  if (matrix.comm().any(suspicious && has_nan(matrix))) return std::numeric_limits<double>::quiet_NaN();
  return matrix.comm().max(largest);
}

bool is_finite(const DistributedMatrix& matrix) {
  return std::isfinite(max_abs(matrix));
}

void scale(DistributedMatrix& matrix, double a) {
  for (double& x : matrix.local()) x *= a;
}

void add_scaled(DistributedMatrix& y, double a, const DistributedMatrix& x) {
  require(y.same_layout(x) && y.triangles() == x.triangles(), "only matrices of one layout can be added");
  for (std::int64_t j_loc = 0; j_loc < y.local_cols(); ++j_loc) {
    const double* from = x.local().data() + j_loc * x.local_ld();
    double* to = y.local().data() + j_loc * y.local_ld();
    for (std::int64_t i = y.first_stored_row(j_loc); i < y.local_rows(); ++i) to[i] += a * from[i];
  }
}

std::vector<double> row_sums(const DistributedMatrix& matrix) {
  return symmetric_multiply(matrix, std::vector<double>(static_cast<std::size_t>(matrix.rows()), 1.0), 1);
}

double quadratic_form_ones(const DistributedMatrix& matrix) {
  CompensatedSum sum;
  for (const double row_sum : row_sums(matrix)) sum.add(row_sum);
  return sum.value();
}

SymmetricSums symmetric_sums(const DistributedMatrix& matrix, DistributedMatrix* total) {
  require(total == nullptr || (total->same_layout(matrix) && total->triangles() == matrix.triangles()),
          "only matrices of one layout can be added");
  if (matrix.triangles() == Triangles::full) {
    if (total != nullptr) add_scaled(*total, 1, matrix);
    return {trace(matrix), frobenius_norm(matrix), row_sums(matrix)};
  }
  CompensatedSum trace, squares;
  std::vector<double> of_rows(static_cast<std::size_t>(matrix.local_rows()));
  SymmetricSums sums{0, 0, std::vector<double>(static_cast<std::size_t>(matrix.rows()))};
  for (std::int64_t j_loc = 0; j_loc < matrix.local_cols(); ++j_loc) {
    auto first = matrix.first_stored_row(j_loc);
    const auto j_glob = matrix.global_col(j_loc);
    auto& of_column = sums.row_sums[static_cast<std::size_t>(j_glob)];
    if (first < matrix.local_rows() && matrix.global_row(first) == j_glob) {
      const double x = matrix.local_at(first, j_loc);
      trace.add(x);
      squares.add(x * x);
      of_column += x;
      if (total != nullptr) total->local_at(first, j_loc) += x;
      ++first;
    }
    if (first >= matrix.local_rows()) continue;
    const auto begin = first + j_loc * matrix.local_ld(), count = matrix.local_rows() - first;
    const double* x = matrix.local().data() + begin;
    const auto below = total == nullptr
                           ? add_column<false>(x, count, of_rows.data() + first, nullptr)
                           : add_column<true>(x, count, of_rows.data() + first, total->local().data() + begin);
    of_column += below.sum;
    squares.add(2 * below.squares);
  }
  for (std::int64_t i = 0; i < matrix.local_rows(); ++i) {
    sums.row_sums[static_cast<std::size_t>(matrix.global_row(i))] += of_rows[static_cast<std::size_t>(i)];
  }
  matrix.comm().sum_slices_in_rank_order<double>(sums.row_sums);
  sums.trace = sum_over_ranks(matrix, trace.value());
  const double all_squares = sum_over_ranks(matrix, squares.value());
  sums.frobenius_norm = is_safe(all_squares) ? std::sqrt(all_squares) : frobenius_norm(matrix);
  return sums;
}

void clear(DistributedMatrix& matrix) {
  for (std::int64_t j = 0; j < matrix.local_cols(); ++j) {
    const auto column = matrix.local().subspan(static_cast<std::size_t>(j * matrix.local_ld()),
                                               static_cast<std::size_t>(matrix.local_rows()));
    std::fill(column.begin() + std::min(matrix.first_stored_row(j), matrix.local_rows()), column.end(), 0.0);
  }
}

}  // namespace grokscope
