// What is the spectrum of a distributed symmetric matrix?
// One door to LAPACK, ScaLAPACK and ELPA: checks and scales the matrix, moves it to the solver's own grid,
// solves, and checks the answer against two numbers that the solver did not see: sum(lambda) = trace K,
// sum(lambda^2) = |K|_F^2. (The second one catches a solver that read an empty triangle; the first does not.)
#pragma once

#include <memory>
#include <vector>

#include "linalg/distributed_matrix.hpp"
#include "linalg/solver_choice.hpp"

namespace grokscope {

struct Spectrum {
  std::vector<double> values;  ///< descending, the same on every rank
  double trace_residual = 0;   ///< |sum(lambda) - trace K| / sum |lambda|
  double norm_residual = 0;    ///< |sum(lambda^2) - |K|_F^2| / |K|_F^2
};

struct Eigenpairs {
  std::vector<double> values;     ///< descending, the same on every rank
  std::vector<double> vectors;    ///< n x values.size(), column-major, the same on every rank
  std::vector<double> residuals;  ///< |K v - lambda v| / |lambda|_max, one per pair
};

/// Returns all eigenvalues. Absolute error about n eps lambda_1. Throws EnvironmentError on every rank when
/// the matrix has NaN or Inf, InternalError when a distributed solver is handed a lower-only matrix or its
/// answer fails the checks above. Memory: one copy of K (on rank 0 alone for LAPACK, else dealt to the
/// solver's grid). Collective over K's communicator.
Spectrum solve_eigenvalues(const DistributedMatrix& matrix, const SolverChoice& choice);

/// All eigenvalues of several matrices by LAPACK, one matrix on each rank at a time: many spectra (of the layers of a model)
/// in the time that one rank alone would need for one.
class SpectrumBatch {
 public:
  /// `comm` must outlive this. Local.
  explicit SpectrumBatch(const Communicator& comm) : comm_(&comm) {}

  /// Takes a copy of a symmetric matrix (lower triangle) to the next rank; once every rank has one, they are solved. Throws
  /// as solve_eigenvalues() does. Memory: one n x n matrix on each rank. Collective.
  void add(const DistributedMatrix& matrix);

  /// Solves the rest and returns the spectra in the order of add(), the same on every rank. Collective.
  std::vector<Spectrum> finish();

 private:
  struct Pending;
  void solve_pending();

  const Communicator* comm_;
  std::vector<std::shared_ptr<Pending>> pending_;
  std::vector<Spectrum> done_;
};

/// Returns the `count` largest eigenvalues and their vectors (all when `count` exceeds n), from a full solve.
/// Signs follow fix_signs(). Throws as solve_eigenvalues() does. Memory on rank 0: 2 to 4 n^2 doubles.
/// Collective over K's communicator.
Eigenpairs solve_eigenpairs(const DistributedMatrix& matrix, std::int64_t count, const SolverChoice& choice);

/// Turns each vector (columns of n elements) so that its component of largest magnitude, the first of equals,
/// is positive. Local.
void fix_signs(std::span<double> vectors, std::int64_t n);

}  // namespace grokscope
