#include "linalg/solver_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/text.hpp"
#include "linalg/distributed_matrix.hpp"

namespace grokscope {
namespace {

// Seconds for one solve, with the move to the solver's grid (tests/bench/linalg_solvers.cpp): one thread a
// rank, nb = 64, 2 AMD EPYC cores (AVX-512) shared with other work, the best of 2 to 4 runs, on 1 rank / on 2
// ranks. LAPACK always works on rank 0 alone.
//
//            eigenvalues alone                                      with all vectors, 2 ranks
//      n     lapack   scalapack     elpa1        elpa2              lapack   scalapack   elpa1   elpa2
//    250       .005   .004 / .006   .006 / .005  .008 / .007
//    500       .017   .018 / .019   .023 / .019  .032 / .024          .034        .032    .038    .065
//   1000       .087   .096 / .080   .131 / .088  .157 / .103          .204        .219    .198    .414
//   2000       .475   .669 / .436   .906 / .601  .817 / .594          1.58        1.29    1.20    2.61
//   4000       3.56   8.54 / 4.54   10.4 / 5.86  5.07 / 3.36
//
// So two ranks of ELPA equal LAPACK on one at best, and the two stages lose with vectors (Debian's ELPA has
// generic kernels only). That four ranks win from about n = 1500 on is an extrapolation: two cores were at
// hand.
constexpr int kDistributedFromRanks = 4;
constexpr int kDistributedVectorsFromRanks = 2;
constexpr std::int64_t kDistributedFromSize = 1500;
// Blocks narrower than this cost more than the ranks that they occupy bring.
constexpr std::int64_t kSmallestBlock = 16;

constexpr std::array kSolvers{Solver::lapack, Solver::scalapack, Solver::elpa1, Solver::elpa2};

std::optional<Solver> parse_solver(const std::string& wanted) {
  if (wanted == "auto") return std::nullopt;
  std::vector<std::string> names{"auto"};
  for (const Solver solver : kSolvers) {
    if (wanted == name_of(solver)) return solver;
    names.push_back(name_of(solver));
  }
  const auto nearest = nearest_word(wanted, names);
  throw UserError(fmt::format("'{}' is no eigensolver (known are {}), {}", wanted, join(names, ", "),
                              nearest.empty() ? "use auto" : fmt::format("did you mean '{}'?", nearest)));
}

/// The largest solving grid on which every process row and column gets a block: ELPA fails on empty pieces.
GridShape fitting_shape(std::int64_t n, int ranks) {
  const std::int64_t blocks = std::max<std::int64_t>(1, n / kSmallestBlock);
  GridShape shape = solving_shape(ranks);
  while (std::max(shape.rows, shape.cols) > blocks) shape = solving_shape(shape.size() - 1);
  return shape;
}

Solver fastest(const SolverRequest& request) {
  const int from_ranks = request.vectors ? kDistributedVectorsFromRanks : kDistributedFromRanks;
  if (request.ranks < from_ranks || request.n < kDistributedFromSize) return Solver::lapack;
  return request.vectors ? Solver::elpa1 : Solver::elpa2;
}

std::string reason_for(const SolverChoice& choice, const SolverRequest& request) {
  const auto where =
      choice.solver == Solver::lapack
          ? std::string("on rank 0")
          : fmt::format("on {} x {} of {} ranks", choice.shape.rows, choice.shape.cols, request.ranks);
  const auto why = request.wanted != "auto" ? "as configured"
                   : choice.solver == Solver::lapack
                       ? "the matrix is too small, or the ranks too few, to gain from distributing it"
                       : "the matrix is large enough to gain from distributing it";
  return fmt::format("{} {} (n = {}: {})", name_of(choice.solver), where, request.n, why);
}

}  // namespace

std::string name_of(Solver solver) {
  switch (solver) {
    case Solver::lapack:
      return "lapack";
    case Solver::scalapack:
      return "scalapack";
    case Solver::elpa1:
      return "elpa1";
    case Solver::elpa2:
      return "elpa2";
  }
  throw InternalError("a solver without a name");
}

SolverChoice choose_solver(const SolverRequest& request) {
  require(request.n >= 0 && request.ranks >= 1, "a solver was asked for no ranks or a negative size");
  const auto named = parse_solver(request.wanted);
  SolverChoice choice;
  choice.solver = named.value_or(fastest(request));
  if (choice.solver != Solver::lapack) choice.shape = fitting_shape(request.n, request.ranks);
  choice.nb = default_block_size(request.n, choice.shape);
  choice.reason = reason_for(choice, request);
  return choice;
}

}  // namespace grokscope
