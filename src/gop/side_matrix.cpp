#include "gop/side_matrix.hpp"

#include <algorithm>
#include <cmath>

#include "linalg/matrix_sums.hpp"
#include "linalg/symmetric_product.hpp"

namespace grokscope {
namespace {

double norm_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

/// Rounding may leave a square below 0; what is no number stays that (the order of the arguments matters).
double not_negative(double square) { return std::max(square, 0.0); }

/// Calls change(element, global row, global column) for every stored element.
template <class Change>
void for_each_element(DistributedMatrix& matrix, Change change) {
  for (std::int64_t j = 0; j < matrix.local_cols(); ++j) {
    const auto gj = static_cast<std::size_t>(matrix.global_col(j));
    for (std::int64_t i = matrix.first_stored_row(j); i < matrix.local_rows(); ++i) {
      change(matrix.local_at(i, j), static_cast<std::size_t>(matrix.global_row(i)), gj);
    }
  }
}

}  // namespace

BlockCyclicTarget target_of(DistributedMatrix& matrix) {
  return {matrix.row_dist(), matrix.col_dist(), matrix.local(), matrix.local_ld()};
}

RawMoments gram_moments(const DistributedMatrix& gram, DistributedMatrix* total) {
  const auto sums = symmetric_sums(gram, total);
  double ones_form = 0;
  for (const double sum : sums.row_sums) ones_form += sum;
  return {sums.trace, sums.frobenius_norm, ones_form, norm_of(sums.row_sums)};
}

RawMoments dense_moments(const DistributedMatrix& dense, std::span<const double> gradient_sum) {
  // |G G^T 1|^2 = s^T (G^T G) s for s = G^T 1.
  const auto product = symmetric_multiply(dense, gradient_sum, 1);
  double form = 0;
  for (std::size_t i = 0; i < product.size(); ++i) form += product[i] * gradient_sum[i];
  const double sum_norm = norm_of(gradient_sum);
  return {trace(dense), frobenius_norm(dense), sum_norm * sum_norm, std::sqrt(not_negative(form))};
}

GopMoments second_moment(const RawMoments& raw, std::int64_t examples, std::int64_t parameters) {
  const auto n = static_cast<double>(examples);
  return {examples, parameters, raw.trace / n, raw.frobenius / n, std::sqrt(not_negative(raw.ones_form)) / n};
}

GopMoments covariance(const RawMoments& raw, std::int64_t examples, std::int64_t parameters) {
  const auto n = static_cast<double>(examples);
  const double squares = raw.frobenius * raw.frobenius - 2 / n * raw.row_sum_norm * raw.row_sum_norm +
                         std::pow(raw.ones_form / n, 2);
  return {examples, parameters, (raw.trace - raw.ones_form / n) / n, std::sqrt(not_negative(squares)) / n,
          std::sqrt(not_negative(raw.ones_form)) / n, Definition::covariance};
}

GopMoments mean_outer_product(const RawMoments& raw, std::int64_t examples, std::int64_t parameters) {
  const double square = not_negative(raw.ones_form) / std::pow(static_cast<double>(examples), 2);
  return {examples, parameters, square, square, std::sqrt(square), Definition::mean};
}

void centre_gram(DistributedMatrix& gram) {
  const auto sums = row_sums(gram);
  const auto n = static_cast<double>(gram.rows());
  double total = 0;
  for (const double sum : sums) total += sum;
  for_each_element(gram, [&](double& value, std::size_t i, std::size_t j) {
    value = value - sums[i] / n - sums[j] / n + total / (n * n);
  });
}

void centre_dense(DistributedMatrix& dense, std::span<const double> s, std::int64_t examples) {
  const auto n = static_cast<double>(examples);
  for_each_element(dense, [&](double& value, std::size_t i, std::size_t j) { value -= s[i] * s[j] / n; });
}

}  // namespace grokscope
