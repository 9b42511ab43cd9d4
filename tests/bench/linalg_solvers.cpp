// How long does one solve take, by solver, size and rank count?
// The driver behind the table in src/linalg/solver_choice.cpp. Prints one line per solver:
//   mpirun -n 2 bench_linalg_solvers 4000 [values|vectors] [repeats] [solver ...]
// values: all eigenvalues alone. vectors: all, and the vectors of the 100 largest; two_stage+lanczos is what a measurement
// does, others find what they can (the routine is named; pdsyevd and dsyevd have no part of the vectors, ELPA takes the
// matrix times -1). Repeats are interleaved, and every solver must find the same largest eigenvalue. LAPACK solves on rank 0: on one
// rank, with OPENBLAS_NUM_THREADS=2, it is what two ranks must be compared with. OPENBLAS_CORETYPE must not be set.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "solver_candidates.hpp"

#include <fmt/format.h>

#include "base/random.hpp"
#include "base/timer.hpp"
#include "comm/environment.hpp"
#include "linalg/backends.hpp"
#include "linalg/eigensolver.hpp"
#include "linalg/lanczos.hpp"
#include "linalg/matrix_sums.hpp"
#include "linalg/redistribution.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kTop = 100;

struct Options {
  std::int64_t n = 1000;
  bool vectors = false;
  int repeats = 3;
  std::vector<std::string> solvers;

  bool wants(const std::string& name) const { return solvers.empty() || std::ranges::find(solvers, name) != solvers.end(); }
};

/// A random symmetric matrix, the same on any grid, whose largest eigenvalues fall as those of a GOP do: its diagonal is
/// n / (i + 1). What direct solvers take hardly depends on it, Lanczos does.
DistributedMatrix random_matrix(std::int64_t n, const ProcessGrid& grid) {
  DistributedMatrix matrix(n, n, default_block_size(n, grid.shape()), grid);
  matrix.set_triangles(Triangles::lower);
  for (std::int64_t j = 0; j < matrix.local_cols(); ++j) {
    for (std::int64_t i = matrix.first_stored_row(j); i < matrix.local_rows(); ++i) {
      const auto i_glob = static_cast<std::uint64_t>(matrix.global_row(i));
      const auto j_glob = static_cast<std::uint64_t>(matrix.global_col(j));
      matrix.local_at(i, j) = RandomStream(1, "bench", i_glob, j_glob).uniform() - 0.5;
      if (i_glob == j_glob) matrix.local_at(i, j) += static_cast<double>(n) / static_cast<double>(i_glob + 1);
    }
  }
  mirror_lower(matrix);
  return matrix;
}

struct Candidate {
  std::string name;
  std::function<double()> solve;  ///< collective; returns the largest eigenvalue
};

/// One of ours, as the program calls it.
Candidate of_the_program(const std::string& name, const DistributedMatrix& matrix) {
  return {name, [name, &matrix] {
            return solve_eigenvalues(matrix, choose_solver({.n = matrix.rows(), .ranks = matrix.comm().size(), .wanted = name}))
                .values.front();
          }};
}

Candidate on_root(const std::string& name, const DistributedMatrix& matrix, std::function<double(DenseMatrix&)> solve) {
  return {name, [&matrix, solve = std::move(solve)] {
            DenseMatrix a(matrix.rows(), matrix.cols(), gather_to_root(matrix));
            return matrix.comm().broadcast_value(matrix.comm().is_root() ? solve(a) : 0.0);
          }};
}

/// On the grid that choose_solver() gives to every distributed solver, with the move there.
Candidate on_grid(const std::string& name, const DistributedMatrix& matrix,
                  std::function<double(DistributedMatrix&, const Communicator&)> solve) {
  return {name, [&matrix, solve = std::move(solve)] {
            const auto choice = choose_solver({.n = matrix.rows(), .ranks = matrix.comm().size(), .wanted = "scalapack"});
            ProcessGrid grid(matrix.comm(), choice.shape);
            auto members = matrix.comm().split(grid.is_member() ? 0 : 1);
            auto a = move_to(matrix, grid, choice.nb);
            const double largest = grid.is_member() ? solve(a, members) : 0;
            members.free();
            grid.release();
            return matrix.comm().broadcast_value(largest);
          }};
}

std::vector<Candidate> for_values(const DistributedMatrix& m) {
  return {on_root("lapack (dsyevd)", m, [](DenseMatrix& a) { return bench::by_dsyevd(a, false).back(); }),
          of_the_program("lapack", m),  // dsyevd_2stage
          of_the_program("two_stage", m),
          of_the_program("scalapack", m),  // pdsyev
          on_grid("scalapack (pdsyevr)", m,
                  [](DistributedMatrix& a, const Communicator&) { return bench::by_pdsyevr(a, 0).back(); }),
          of_the_program("elpa1", m), of_the_program("elpa2", m)};
}

double lanczos_after_values(const DistributedMatrix& m) {
  const auto values = solve_eigenvalues(m, choose_solver({.n = m.rows(), .ranks = m.comm().size(), .wanted = "two_stage"})).values;
  const auto top = top_eigenpairs(m, kTop, {1, 1e-10, 400, true, values});
  require(top.converged, "Lanczos gave up");
  return top.pairs.values.front();
}

std::vector<Candidate> for_vectors(const DistributedMatrix& m) {
  // ELPA finds the smallest pairs: of -A these are the largest.
  const auto elpa = [](Solver stages) {
    return [stages](DistributedMatrix& a, const Communicator& members) {
      DistributedMatrix z(a.rows(), a.cols(), a.nb(), a.grid());
      scale(a, -1);
      return -pairs_by_elpa(a, z, members, stages, kTop).front();
    };
  };
  return {on_root("lapack (dsyevd)", m, [](DenseMatrix& a) { return bench::by_dsyevd(a, true).back(); }),
          on_root("lapack (dsyevr)", m, [](DenseMatrix& a) { return bench::by_dsyevr(a, kTop).back(); }),
          {"two_stage+lanczos", [&m] { return lanczos_after_values(m); }},
          on_grid("scalapack (pdsyevd)", m,
                  [](DistributedMatrix& a, const Communicator&) {
                    DistributedMatrix z(a.rows(), a.cols(), a.nb(), a.grid());
                    return pairs_by_scalapack(a, z).back();
                  }),
          on_grid("scalapack (pdsyevr)", m,
                  [](DistributedMatrix& a, const Communicator&) { return bench::by_pdsyevr(a, kTop).back(); }),
          on_grid("elpa1", m, elpa(Solver::elpa1)), on_grid("elpa2", m, elpa(Solver::elpa2))};
}

void run(const Communicator& comm, const Options& o) {
  ProcessGrid grid(comm, filling_shape(comm.size()));
  const auto matrix = random_matrix(o.n, grid);
  auto candidates = o.vectors ? for_vectors(matrix) : for_values(matrix);
  std::erase_if(candidates, [&](const Candidate& c) { return !o.wants(c.name); });
  std::map<std::string, std::vector<double>> seconds;
  std::optional<double> largest;
  for (int repeat = 0; repeat < o.repeats; ++repeat) {
    for (const auto& candidate : candidates) {
      comm.barrier();
      const Stopwatch watch;
      const double found = candidate.solve();
      seconds[candidate.name].push_back(comm.max(watch.seconds()));
      const bool agrees = std::abs(found - largest.value_or(found)) < 1e-10 * std::abs(found);
      if (!agrees) throw InternalError(candidate.name + " found another largest eigenvalue");
      largest = found;
    }
  }
  grid.release();
  if (!comm.is_root()) return;
  const char* threads = std::getenv("OPENBLAS_NUM_THREADS");
  for (const auto& candidate : candidates) {
    auto times = seconds[candidate.name];
    std::ranges::sort(times);
    fmt::print("n = {:5}  ranks = {:2}  threads = {}  {:7}  {:22}  best {:8.3f} s  median {:8.3f} s of {}\n", o.n, comm.size(),
               threads != nullptr ? threads : "all", o.vectors ? "vectors" : "values", candidate.name, times.front(),
               times[times.size() / 2], times.size());
  }
}

}  // namespace
}  // namespace grokscope

int main(int argc, char** argv) {
  grokscope::MpiEnvironment mpi(&argc, &argv);
  auto world = mpi.world();
  grokscope::Options options;
  if (argc > 1) options.n = std::atoll(argv[1]);
  if (argc > 2) options.vectors = std::string(argv[2]) == "vectors";
  if (argc > 3) options.repeats = std::atoi(argv[3]);
  options.solvers.assign(argv + std::min(argc, 4), argv + argc);
  grokscope::run(world, options);
  world.free();
  mpi.finalize();
  return 0;
}
