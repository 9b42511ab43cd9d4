// Which eigensolver, on which process grid, and why?
// A pure function of sizes, rank count and configuration, never of timings taken in the run: the same run
// must choose the same way again. Its reason goes into the log.
#pragma once

#include <cstdint>
#include <string>

#include "linalg/process_grid.hpp"

namespace grokscope {

enum class Solver { lapack, two_stage, scalapack, elpa1, elpa2 };

/// True when the solver reads both triangles (or might): mirror_lower() comes first.
bool needs_both_triangles(Solver solver);

/// "lapack", "two_stage", "scalapack", "elpa1" or "elpa2", as `gop_tracking.solver` spells them.
std::string name_of(Solver solver);

struct SolverRequest {
  std::int64_t n = 0;
  int ranks = 1;
  std::string wanted = "auto";  ///< `gop_tracking.solver`
  bool vectors = false;         ///< the full solve with vectors (eigenvalues alone are much cheaper)
  std::int64_t matrices = 1;    ///< how many of this size are to be solved, independently of each other
};

struct SolverChoice {
  Solver solver = Solver::lapack;
  GridShape shape;      ///< of the grid that the solver works on; 1 x 1 for LAPACK, which runs on rank 0
  std::int64_t nb = 1;  ///< block size on that grid
  std::string reason;   ///< for the log: "elpa2 on 2 x 4 of 9 ranks (n = 4000: ...)"
};

/// Throws UserError when `wanted` is not a name from formats.md. Local.
SolverChoice choose_solver(const SolverRequest& request);

/// Whether 32 bits count the elements of each rank's piece of an n x n matrix, as ScaLAPACK and ELPA do. Local.
bool fits_32_bits(std::int64_t n, const SolverChoice& choice);

}  // namespace grokscope
