// How long does one solve take, by solver, size and rank count?
// The driver behind the table in src/linalg/solver_choice.cpp. Prints one line per solver:
//   mpirun -n 2 bench_linalg_solvers 4000 [values|vectors|top] [repeats]     (OMP_NUM_THREADS=1, OPENBLAS_CORETYPE unset)
// vectors: all of them, by each solver that has any. top: 100 of them, as a measurement makes them: all eigenvalues by the
// chosen solver, then block Lanczos, which knows them.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/timer.hpp"
#include "comm/environment.hpp"
#include "linalg/eigensolver.hpp"
#include "linalg/lanczos.hpp"
#include "linalg/redistribution.hpp"

namespace grokscope {
namespace {

/// A random symmetric matrix, the same on any grid. With a diagonal n / (i + 1) its largest eigenvalues fall as those of a
/// GOP do; without one they lie as densely as can be, and no iteration finds them soon.
DistributedMatrix random_matrix(std::int64_t n, const ProcessGrid& grid, double diagonal) {
  DistributedMatrix matrix(n, n, default_block_size(n, grid.shape()), grid);
  matrix.set_triangles(Triangles::lower);
  for (std::int64_t j = 0; j < matrix.local_cols(); ++j) {
    for (std::int64_t i = matrix.first_stored_row(j); i < matrix.local_rows(); ++i) {
      const auto i_glob = static_cast<std::uint64_t>(matrix.global_row(i));
      const auto j_glob = static_cast<std::uint64_t>(matrix.global_col(j));
      matrix.local_at(i, j) = RandomStream(1, "bench", i_glob, j_glob).uniform() - 0.5;
      if (i_glob == j_glob) matrix.local_at(i, j) += diagonal / static_cast<double>(i_glob + 1);
    }
  }
  mirror_lower(matrix);
  return matrix;
}

struct Options {
  std::int64_t n = 1000;
  std::string mode = "values";
  int repeats = 3;
};

/// Times a few solves, in seconds on the slowest rank.
void report(const Communicator& comm, const Options& o, const std::string& name, const std::function<void()>& solve) {
  std::vector<double> seconds;
  for (int repeat = 0; repeat < o.repeats; ++repeat) {
    comm.barrier();
    const Stopwatch watch;
    solve();
    seconds.push_back(comm.max(watch.seconds()));
  }
  std::ranges::sort(seconds);
  if (!comm.is_root()) return;
  fmt::print("n = {:5}  ranks = {:2}  {:7}  {:22}  best {:8.3f} s  median {:8.3f} s\n", o.n, comm.size(), o.mode, name,
             seconds.front(), seconds[seconds.size() / 2]);
  std::fflush(stdout);
}

void run(const Communicator& comm, const Options& o) {
  constexpr std::int64_t kTop = 100;
  ProcessGrid grid(comm, filling_shape(comm.size()));
  const auto matrix = random_matrix(o.n, grid, o.mode == "top" ? static_cast<double>(o.n) : 0);
  if (o.mode == "top") {
    const auto choice = choose_solver({.n = o.n, .ranks = comm.size()});
    report(comm, o, name_of(choice.solver) + " and Lanczos", [&] {
      const auto values = solve_eigenvalues(matrix, choice).values;
      top_eigenpairs(matrix, kTop, {1, 1e-10, 400, true, values});
    });
    grid.release();
    return;
  }
  const bool vectors = o.mode == "vectors";
  for (const std::string name : {"lapack", "two_stage", "scalapack", "elpa1", "elpa2"}) {
    if (vectors && name == "two_stage") continue;  // has none
    const auto choice = choose_solver({.n = o.n, .ranks = comm.size(), .wanted = name, .vectors = vectors});
    report(comm, o, name, [&] {
      if (vectors) {
        solve_eigenpairs(matrix, o.n, choice);
      } else {
        solve_eigenvalues(matrix, choice);
      }
    });
  }
  grid.release();
}

}  // namespace
}  // namespace grokscope

int main(int argc, char** argv) {
  grokscope::MpiEnvironment mpi(&argc, &argv);
  auto world = mpi.world();
  grokscope::Options options;
  if (argc > 1) options.n = std::atoll(argv[1]);
  if (argc > 2) options.mode = argv[2];
  if (argc > 3) options.repeats = std::atoi(argv[3]);
  grokscope::run(world, options);
  world.free();
  mpi.finalize();
  return 0;
}
