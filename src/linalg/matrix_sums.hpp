// How large is a distributed matrix, and is every number in it a number?
// Sums are compensated on each rank and added over ranks in rank order, so that they repeat bit by bit. A
// lower-only matrix stands for the symmetric one: its off-diagonal elements count twice. All are collective
// over the matrix's communicator and return the same on every rank, except scale() and add_scaled().
#pragma once

#include "linalg/distributed_matrix.hpp"

namespace grokscope {

/// Adds the diagonal. Collective.
double trace(const DistributedMatrix& matrix);

/// Returns the root of the sum of squares; does not overflow where the result does not. Collective.
double frobenius_norm(const DistributedMatrix& matrix);

/// Returns the largest magnitude, NaN when any element is NaN. Collective.
double max_abs(const DistributedMatrix& matrix);

/// True when no element is NaN or infinite. Collective.
bool is_finite(const DistributedMatrix& matrix);

/// Multiplies every element by `a`. Local.
void scale(DistributedMatrix& matrix, double a);

/// y += a x, for two matrices of the same layout and triangles. Local.
void add_scaled(DistributedMatrix& y, double a, const DistributedMatrix& x);

/// Returns K 1, every row's sum, on every rank. Collective.
std::vector<double> row_sums(const DistributedMatrix& matrix);

/// Returns 1^T K 1, the sum of all elements. Collective.
double quadratic_form_ones(const DistributedMatrix& matrix);

/// What the moments of a symmetric matrix are made of.
struct SymmetricSums {
  double trace = 0;
  double frobenius_norm = 0;
  std::vector<double> row_sums;  ///< on every rank
};

/// trace(), frobenius_norm() and row_sums() in one pass over the matrix, which is what they cost. Where `total` is given,
/// the matrix is added to it in the same pass. Collective.
SymmetricSums symmetric_sums(const DistributedMatrix& matrix, DistributedMatrix* total = nullptr);

/// Zeros the stored part. Local.
void clear(DistributedMatrix& matrix);

}  // namespace grokscope
