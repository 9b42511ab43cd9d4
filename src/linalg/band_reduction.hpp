// Which band matrix has the eigenvalues of a full symmetric one?
// The first, expensive stage of a two-stage tridiagonalisation (Bischof, Lang and Sun 2000), distributed. For every panel
// of `bandwidth` columns, with P the part below the band and P = Q R its QR factorisation (Q = I - V T V^T):
//   X = A V T,   W = X - 1/2 V (T^T V^T X),   A <- Q^T A Q = A - V W^T - W V^T
// The update by one panel waits for the product with the next one, so that each tile of A is read once a panel, and all
// 4/3 n^3 floating-point operations are GEMMs on tiles that fit the cache. V and W, n x bandwidth, are on every rank.
#pragma once

#include "linalg/dense_matrix.hpp"
#include "linalg/distributed_matrix.hpp"

namespace grokscope {

/// Lower triangle of a symmetric band matrix as LAPACK stores it: element (i, j) at lower.at(i - j, j).
struct BandMatrix {
  std::int64_t n = 0;
  std::int64_t bandwidth = 0;
  DenseMatrix lower;  ///< (bandwidth + 1) x n
};

/// Reads the lower triangle of `a` and overwrites it. `members` holds exactly the members of its grid; the result is on
/// rank 0 of `members`, elsewhere empty. `bandwidth` is at least 1 and below n. Memory per rank, beside `a`: about
/// 8 bandwidth n doubles. Collective over `members`.
BandMatrix reduce_to_band(DistributedMatrix& a, const Communicator& members, std::int64_t bandwidth);

}  // namespace grokscope
