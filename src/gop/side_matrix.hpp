// The matrix that is diagonalised: S = G G^T or G^T G of a range of parameters, distributed, not yet divided by N.
// Hides which side it is from everything that follows: moments, centring, spectrum, leading vectors.
#pragma once

#include <functional>
#include <memory>

#include "gop/metrics.hpp"
#include "gop/side.hpp"
#include "gradients/gram.hpp"
#include "linalg/distributed_matrix.hpp"

namespace grokscope {

/// A view of a distributed matrix for the fillers of gradients.
BlockCyclicTarget target_of(DistributedMatrix& matrix);

/// What is true of G restricted to some parameters.
struct RawMoments {
  double trace = 0;        ///< sum_i |g_i|^2
  double frobenius = 0;    ///< |S|_F
  double ones_form = 0;    ///< 1^T G G^T 1 = |sum_i g_i|^2
  double row_sum_norm = 0; ///< |G G^T 1|; only what the covariance's moments need
};

/// Moments of a filled Gram matrix (lower or full), which is added to `total` on the way where that is given. Collective.
RawMoments gram_moments(const DistributedMatrix& gram, DistributedMatrix* total = nullptr);

/// Moments of a filled P x P matrix, given the summed gradient over its parameters (replicated). Collective.
RawMoments dense_moments(const DistributedMatrix& dense, std::span<const double> gradient_sum);

/// Moments of the normalised GOP in each definition.
GopMoments second_moment(const RawMoments& raw, std::int64_t examples, std::int64_t parameters);
GopMoments covariance(const RawMoments& raw, std::int64_t examples, std::int64_t parameters);
GopMoments mean_outer_product(const RawMoments& raw, std::int64_t examples, std::int64_t parameters);

/// Replaces K by H K H, H = I - 1 1^T/N. Collective.
void centre_gram(DistributedMatrix& gram);

/// Replaces S = G^T G by S - (1/N) s s^T for the replicated summed gradient s. Local.
void centre_dense(DistributedMatrix& dense, std::span<const double> gradient_sum, std::int64_t examples);

}  // namespace grokscope
