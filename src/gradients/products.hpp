// G^T V and G U: eigenvectors in parameter space, the mean gradient, projections.
// Vectors over parameters are sharded: rank r holds rows even_share(P, ranks, r).
#pragma once

#include "gradients/gradient_matrix.hpp"

namespace grokscope {

/// G^T V for replicated weights V [N, k] float64: this rank's rows of the P x k result, summed over ranks in rank order.
/// Memory per rank: P x k. Collective.
at::Tensor weighted_sum(const GradientMatrix& g, const at::Tensor& weights);

/// G U for U [P, k] sharded as weighted_sum() returns it: the whole N x k, replicated. Memory per rank: P x k. Collective.
at::Tensor apply(const GradientMatrix& g, const at::Tensor& vectors);

/// A^T B for two sharded P x k matrices, replicated, summed in rank order. Collective.
at::Tensor inner_products(const Communicator& comm, const at::Tensor& a, const at::Tensor& b);

}  // namespace grokscope
