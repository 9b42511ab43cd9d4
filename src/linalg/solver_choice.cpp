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
// 2 virtual cores of an Intel Xeon (AVX-512), the best of 5 interleaved runs to n = 2,000, of 2 at 4,000, one run at 8,000;
// on 1 rank / on 2 ranks. LAPACK always works on rank 0 alone; what it would take with two threads stands behind the bar.
//
// eigenvalues alone
//      n     lapack          two_stage       scalapack      pdsyevr        elpa1          elpa2
//    500     .015 | .026     .017 / .016     .018 / .017    .014 / .047    .022 / .017    .028 / .020
//   1000     .073 | .109     .084 / .069     .127 / .090    .102 / .230    .173 / .094    .145 / .097
//   2000     .408 | .495     .419 / .332     .914 / .601    .690 / 1.24    1.07 / .655    .741 / .496
//   4000     2.73 | 2.57     2.76 / 1.89     6.98 / 3.87    4.90 / 7.02    8.05 / 4.39    4.47 / 2.60
//   8000     21.9 | 16.7     18.7 / 12.2                                   -    / 43.4    30.4 / 19.9
//
// lapack is dsyevd_2stage. In one stage dsyevd takes .011 | .009, .079 | .047, .630 | .394, 4.57 | 2.74 and - | 25.3.
//
// with the vectors of the 100 largest, 2 ranks (LAPACK: dsyevr on 2 threads), for a caller who wants no more of them
//      n     lapack     two_stage + Lanczos     pdsyevr     elpa1     elpa2
//   2000       .437                    1.40        .686      .669      .575
//   4000       2.71                    3.70        4.92      4.25      2.87
//   8000       23.8                    15.0         -        37.7      17.0
//
// Beyond two ranks everything is extrapolated: two cores were at hand. A serial part and one that is divided (Amdahl), fitted to
// the two columns, let elpa2 overtake two_stage on 7 ranks at 4,000, and never at 2,000 and 8,000: two points decide nothing. The
// last part of two_stage is the band matrix, which one rank solves, so that ELPA, all distributed, must win on many.
//
// All vectors, AMD EPYC, n = 2000: lapack 1.58 on one rank; scalapack (pdsyevd) 1.29, elpa1 1.20, elpa2 2.61 on two.
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
