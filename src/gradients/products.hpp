// G^T V and G U: eigenvectors in parameter space, the mean gradient, projections.
// Vectors over parameters are sharded: rank r holds rows even_share(P, ranks, r).
#pragma once

#include <cstdint>

#include "gradients/gradient_matrix.hpp"

namespace grokscope {

/// Numbers of unsharded vectors that a rank holds at a time, 268 MB; one vector of P at least.
constexpr std::int64_t kUnshardedNumbers = std::int64_t{1} << 25;

/// G^T V for replicated weights V [N, k] float64: this rank's rows of the P x k result, summed over ranks in rank order.
/// Memory per rank: the result, and twice `numbers`. Collective.
at::Tensor weighted_sum(const GradientMatrix& g, const at::Tensor& weights, std::int64_t numbers = kUnshardedNumbers);

/// G U for U [P, k] sharded as weighted_sum() returns it: the whole N x k, replicated. Memory per rank: the result, and twice
/// `numbers`. Collective.
at::Tensor apply(const GradientMatrix& g, const at::Tensor& vectors, std::int64_t numbers = kUnshardedNumbers);

/// A^T B for two sharded P x k matrices, replicated, summed in rank order. Collective.
at::Tensor inner_products(const Communicator& comm, const at::Tensor& a, const at::Tensor& b);

}  // namespace grokscope
