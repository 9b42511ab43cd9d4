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

// Seconds for one solve, with the move to the solver's grid (tests/bench/linalg_solvers.cpp): one thread a rank, nb = 64,
// 2 AMD EPYC cores (AVX-512), the best of 2 to 4 runs, on 1 rank / on 2 ranks. LAPACK always works on rank 0 alone.
//
//            eigenvalues alone                                                      with all vectors, 2 ranks
//      n     lapack   two_stage     scalapack     elpa1        elpa2              lapack   scalapack   elpa1   elpa2
//    250       .003   .004 / .004   .004 / .004   .005 / .004  .007 / .005
//    500       .015   .016 / .015   .017 / .016   .022 / .016  .034 / .022          .034        .032    .038    .065
//   1000       .075   .080 / .066   .090 / .079   .121 / .083  .153 / .100          .204        .219    .198    .414
//   2000       .453   .466 / .346   .640 / .449   .803 / .529  .823 / .530          1.58        1.29    1.20    2.61
//   4000       3.18   2.86 / 1.95   7.89 / 5.29   9.51 / 6.20  4.97 / 3.29
//
// The last .6 s of two_stage at 4000 are the band matrix, which one rank solves: ELPA's two stages, all distributed, must
// win on many ranks. That this happens beyond 16 is an extrapolation: two cores were at hand.
constexpr std::int64_t kTwoStageFromSize = 1000;
constexpr std::int64_t kTwoStageFromSizeAlone = 3000;
constexpr int kTwoStageUpToRanks = 16;
constexpr std::int64_t kBatchUpToSize = 8000;  // 512 MB a rank
constexpr int kDistributedVectorsFromRanks = 2;
constexpr std::int64_t kDistributedVectorsFromSize = 1500;
// Blocks narrower than this cost more than the ranks that they occupy bring.
constexpr std::int64_t kSmallestBlock = 16;

constexpr std::array kSolvers{Solver::lapack, Solver::two_stage, Solver::scalapack, Solver::elpa1, Solver::elpa2};

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
  if (request.vectors) {
    const bool distribute = request.ranks >= kDistributedVectorsFromRanks && request.n >= kDistributedVectorsFromSize;
    return distribute ? Solver::elpa1 : Solver::lapack;
  }
  if (request.n < (request.ranks == 1 ? kTwoStageFromSizeAlone : kTwoStageFromSize)) return Solver::lapack;
  // A whole matrix for every rank keeps all of them busy to the end.
  if (request.ranks > 1 && request.matrices >= request.ranks && request.n <= kBatchUpToSize) return Solver::lapack;
  return request.ranks <= kTwoStageUpToRanks ? Solver::two_stage : Solver::elpa2;
}

std::string reason_for(const SolverChoice& choice, const SolverRequest& request) {
  const auto where =
      choice.solver == Solver::lapack
          ? std::string("on rank 0")
          : fmt::format("on {} x {} of {} ranks", choice.shape.rows, choice.shape.cols, request.ranks);
  const auto why = request.wanted != "auto" ? "as configured"
                   : choice.solver == Solver::lapack
                       ? request.matrices > 1 ? "a matrix for each rank, or too small to distribute"
                                              : "the matrix is too small, or the ranks too few, to gain from distributing it"
                   : choice.solver == Solver::two_stage ? "fastest at this size for so few ranks"
                                                        : "the matrix is large enough to gain from distributing it";
  return fmt::format("{} {} (n = {}: {})", name_of(choice.solver), where, request.n, why);
}

}  // namespace

bool needs_both_triangles(Solver solver) { return solver != Solver::lapack && solver != Solver::two_stage; }

std::string name_of(Solver solver) {
  switch (solver) {
    case Solver::lapack:
      return "lapack";
    case Solver::two_stage:
      return "two_stage";
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
  if (choice.solver == Solver::two_stage && request.vectors) {
    throw UserError("the eigensolver two_stage has no vectors (its two transformations are not kept), use auto or elpa1");
  }
  if (choice.solver != Solver::lapack) choice.shape = fitting_shape(request.n, request.ranks);
  choice.nb = default_block_size(request.n, choice.shape);
  choice.reason = reason_for(choice, request);
  return choice;
}

bool fits_32_bits(std::int64_t n, const SolverChoice& choice) {
  const BlockCyclic rows{n, choice.nb, choice.shape.rows}, cols{n, choice.nb, choice.shape.cols};
  return rows.local_count(0) * cols.local_count(0) <= INT32_MAX;  // the first process has the most
}

}  // namespace grokscope
