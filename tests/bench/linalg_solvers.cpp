// How long does one solve take, by solver, size and rank count?
// The driver behind the table in src/linalg/solver_choice.cpp. Prints one line per solver:
//   mpirun -n 2 bench_linalg_solvers 4000 [vectors]     (OMP_NUM_THREADS=1, OPENBLAS_CORETYPE unset)
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>

#include "base/random.hpp"
#include "base/timer.hpp"
#include "comm/environment.hpp"
#include "linalg/eigensolver.hpp"
#include "linalg/redistribution.hpp"

namespace grokscope {
namespace {

/// A random symmetric matrix, the same on any grid.
DistributedMatrix random_matrix(std::int64_t n, const ProcessGrid& grid) {
  DistributedMatrix matrix(n, n, default_block_size(n, grid.shape()), grid);
  matrix.set_triangles(Triangles::lower);
  for (std::int64_t j = 0; j < matrix.local_cols(); ++j) {
    for (std::int64_t i = matrix.first_stored_row(j); i < matrix.local_rows(); ++i) {
      const auto i_glob = static_cast<std::uint64_t>(matrix.global_row(i));
      const auto j_glob = static_cast<std::uint64_t>(matrix.global_col(j));
      matrix.local_at(i, j) = RandomStream(1, "bench", i_glob, j_glob).uniform() - 0.5;
    }
  }
  mirror_lower(matrix);
  return matrix;
}

/// The best of a few solves, in seconds on the slowest rank.
double time_solve(const DistributedMatrix& matrix, const SolverRequest& request) {
  const auto choice = choose_solver(request);
  const int repeats = matrix.rows() <= 1000 ? 4 : 2;
  double best_s = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat < repeats; ++repeat) {
    matrix.comm().barrier();
    const Stopwatch watch;
    if (request.vectors) {
      solve_eigenpairs(matrix, matrix.rows(), choice);
    } else {
      solve_eigenvalues(matrix, choice);
    }
    best_s = std::min(best_s, matrix.comm().max(watch.seconds()));
  }
  return best_s;
}

void run(const Communicator& comm, std::int64_t n, bool vectors) {
  ProcessGrid grid(comm, filling_shape(comm.size()));
  const auto matrix = random_matrix(n, grid);
  for (const char* name : {"lapack", "two_stage", "scalapack", "elpa1", "elpa2"}) {
    const double best_s =
        time_solve(matrix, {.n = n, .ranks = comm.size(), .wanted = name, .vectors = vectors});
    if (comm.is_root()) {
      fmt::print("n = {:5}  ranks = {:2}  {}  {:9}  {:.3f} s\n", n, comm.size(),
                 vectors ? "vectors" : "values", name, best_s);
    }
  }
  grid.release();
}

}  // namespace
}  // namespace grokscope

int main(int argc, char** argv) {
  grokscope::MpiEnvironment mpi(&argc, &argv);
  auto world = mpi.world();
  const bool vectors = argc > 2 && std::string(argv[2]) == "vectors";
  grokscope::run(world, argc > 1 ? std::atoll(argv[1]) : 1000, vectors);
  world.free();
  mpi.finalize();
  return 0;
}
