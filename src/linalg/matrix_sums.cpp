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

}  // namespace

double trace(const DistributedMatrix& matrix) {
  CompensatedSum sum;
  for_each_diagonal(matrix, [&](double x) { sum.add(x); });
  return sum_over_ranks(matrix, sum.value());
}

double frobenius_norm(const DistributedMatrix& matrix) {
  const double largest = max_abs(matrix);
  if (largest == 0 || !std::isfinite(largest)) return largest;
  const double s = std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));  // exact, and nothing overflows
  CompensatedSum sum;
  for_each_stored_column(matrix, [&](std::span<const double> column) { sum.add(scaled_square_sum(column, s)); });
  double squares = sum.value();
  if (matrix.triangles() == Triangles::lower) {
    CompensatedSum diagonal;
    for_each_diagonal(matrix, [&](double x) { diagonal.add((s * x) * (s * x)); });
    squares = 2 * squares - diagonal.value();
  }
  return std::sqrt(sum_over_ranks(matrix, squares)) / s;
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

}  // namespace grokscope
