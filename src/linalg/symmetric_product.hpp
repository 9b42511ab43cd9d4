// What is K X for a distributed symmetric K and a few replicated vectors X?
// Asked by Lanczos, by residual checks and by the row sums of a Gram matrix.
#pragma once

#include <span>
#include <vector>

#include "linalg/distributed_matrix.hpp"

namespace grokscope {

/// Returns Y = K X (n x k, column-major) on every rank, given the same X (n x k) on every rank. K is square
/// and symmetric, stored full or lower. Summed over ranks in rank order: the same bits in every run with this
/// rank count. Cost per rank: 2 n^2 k / ranks FLOP and 3 copies of Y. Collective over K's communicator.
std::vector<double> symmetric_multiply(const DistributedMatrix& matrix, std::span<const double> x,
                                       std::int64_t k);

}  // namespace grokscope
