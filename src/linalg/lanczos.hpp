// What are the k largest eigenvalues and their vectors, when the rest is not wanted?
// Block Lanczos with full reorthogonalisation and thick restart (Wu and Simon 2000; blocks as in Golub and
// Underwood 1977) on any symmetric operator. A block finds multiplicities up to its width at once; wider
// ones, and copies that the start vectors missed, are found by probing with fresh random blocks, or surely by
// comparing with eigenvalues that are known.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "linalg/eigensolver.hpp"

namespace grokscope {

/// Returns K X for X of n x k, both column-major.
using SymmetricOperator = std::function<std::vector<double>(std::span<const double> x, std::int64_t k)>;

struct LanczosOptions {
  std::uint64_t seed = 0;
  double tolerance = 1e-12;  ///< largest residual |K v - lambda v| / |lambda|_max
  int max_blocks = 400;      ///< operator calls before giving up
  /// Whether to look for copies of wanted eigenvalues that the start block missed. For the largest value alone there is no
  /// need: a block of random vectors does not miss its direction.
  bool probe = true;
  /// The largest eigenvalues, descending, when a solver has found them already (at least k of them, or
  /// empty): the pairs are accepted only when they agree to 1e-10 of the largest.
  std::vector<double> known_values;
};

struct TopEigenpairs {
  Eigenpairs pairs;
  int blocks = 0;          ///< operator calls
  bool converged = false;  ///< false: Lanczos gave up
};

/// Returns the k largest eigenvalues with vectors (all when k exceeds n). Deterministic in (operator, n, k,
/// options); signs follow fix_signs(). Throws EnvironmentError when the operator returns NaN or Inf. Memory:
/// about 4 k + 16 min(k, 32) vectors. Local, unless the operator communicates.
TopEigenpairs top_eigenpairs(const SymmetricOperator& apply, std::int64_t n, std::int64_t k,
                             const LanczosOptions& options);

/// The same for a distributed matrix, full or lower, and the same result on every rank: rank 0 iterates, all
/// ranks multiply, so that no decision depends on the kind of processor. Where the basis would hold half of
/// the space the pairs come from a full solve at once (`blocks` is 0), and also where Lanczos does not
/// converge (`converged` stays false). Collective over the matrix's communicator.
TopEigenpairs top_eigenpairs(const DistributedMatrix& matrix, std::int64_t k, const LanczosOptions& options);

}  // namespace grokscope
