#include "linalg/matrix_sums.hpp"

#include <cmath>
#include <limits>

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

/// Visits this rank's stored elements column by column.
template <class Visit>
void for_each_stored(const DistributedMatrix& matrix, Visit visit) {
  for (std::int64_t j_loc = 0; j_loc < matrix.local_cols(); ++j_loc) {
    for (std::int64_t i_loc = matrix.first_stored_row(j_loc); i_loc < matrix.local_rows(); ++i_loc) {
      visit(matrix.local_at(i_loc, j_loc));
    }
  }
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

}  // namespace

double trace(const DistributedMatrix& matrix) {
  CompensatedSum sum;
  for_each_diagonal(matrix, [&](double x) { sum.add(x); });
  return sum_over_ranks(matrix, sum.value());
}

double frobenius_norm(const DistributedMatrix& matrix) {
  const double largest = max_abs(matrix);
  if (largest == 0 || !std::isfinite(largest)) return largest;
  CompensatedSum sum;
  for_each_stored(matrix, [&](double x) { sum.add((x / largest) * (x / largest)); });
  double squares = sum.value();
  if (matrix.triangles() == Triangles::lower) {
    CompensatedSum diagonal;
    for_each_diagonal(matrix, [&](double x) { diagonal.add((x / largest) * (x / largest)); });
    squares = 2 * squares - diagonal.value();
  }
  return largest * std::sqrt(sum_over_ranks(matrix, squares));
}

double max_abs(const DistributedMatrix& matrix) {
  double largest = 0;
  bool has_nan = false;
  for_each_stored(matrix, [&](double x) {
    has_nan = has_nan || std::isnan(x);
    if (std::abs(x) > largest) largest = std::abs(x);
  });
  // MPI's maximum of a NaN is not specified, so that it travels on its own.
  if (matrix.comm().any(has_nan)) return std::numeric_limits<double>::quiet_NaN();
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
  const auto from = x.local();
  const auto to = y.local();
  for (std::size_t e = 0; e < to.size(); ++e) to[e] += a * from[e];
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
