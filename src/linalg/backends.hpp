// What does each third-party eigensolver look like to eigensolver.cpp?
// Matrices arrive finite, full and scaled to about 1, and are overwritten; eigenvalues are returned
// ascending.
#pragma once

#include <vector>

#include "linalg/dense_matrix.hpp"
#include "linalg/distributed_matrix.hpp"
#include "linalg/solver_choice.hpp"

namespace grokscope {

/// Reads the lower triangle. Local.
std::vector<double> values_by_lapack(DenseMatrix& a);

/// Overwrites `a` with the eigenvectors. Local.
std::vector<double> pairs_by_lapack(DenseMatrix& a);

/// Our own: a distributed reduction to a band (reads the lower triangle), whose eigenvalues rank 0 computes; elsewhere
/// the result is empty. `members` holds exactly the members of the grid of `a`. Collective over it.
std::vector<double> values_by_two_stage(DistributedMatrix& a, const Communicator& members);

/// Collective over the members of the grid of `a`; non-members must not call.
std::vector<double> values_by_scalapack(DistributedMatrix& a);

/// Fills `z`, which has the layout of `a`, with the eigenvectors. Collective over the members of the grid of
/// `a`.
std::vector<double> pairs_by_scalapack(DistributedMatrix& a, DistributedMatrix& z);

/// `members` holds exactly the members of the grid of `a`. Collective over it.
std::vector<double> values_by_elpa(DistributedMatrix& a, const Communicator& members, Solver stages);

/// The `count` smallest eigenvalues; fills as many columns of `z`, which has the layout of `a`, with their vectors. Collective over
/// `members`.
std::vector<double> pairs_by_elpa(DistributedMatrix& a, DistributedMatrix& z, const Communicator& members, Solver stages,
                                  std::int64_t count);

}  // namespace grokscope
