#include "linalg/eigensolver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <optional>
#include <utility>

#include "linalg/backends.hpp"
#include "linalg/matrix_sums.hpp"
#include "linalg/redistribution.hpp"
#include "linalg/symmetric_product.hpp"

namespace grokscope {
namespace {

enum class Want { values, vectors };

/// A solver's own answer for the scaled matrix: ascending values on every rank, vectors (n x n) on rank 0
/// where wanted.
struct RawPairs {
  std::vector<double> values;
  DenseMatrix vectors;
};

/// Throws an error that every rank raises with the same words.
template <class Failure>
[[noreturn]] void throw_on_all_ranks(const std::string& message) {
  Failure failure(message);
  failure.set_on_all_ranks();
  throw failure;
}

void check_solvable(const DistributedMatrix& matrix, const SolverChoice& choice) {
  require(matrix.rows() == matrix.cols(), "only a square matrix has eigenvalues");
  require(choice.shape.size() <= matrix.comm().size(), "the solver's grid is larger than the communicator");
  if (!needs_both_triangles(choice.solver)) return;
  require(matrix.triangles() == Triangles::full,
          "a distributed eigensolver was handed a matrix with its lower triangle only; call mirror_lower() "
          "first");
  const BlockCyclic rows{matrix.rows(), choice.nb, choice.shape.rows};
  const BlockCyclic cols{matrix.cols(), choice.nb, choice.shape.cols};
  const bool has_empty_piece =
      rows.local_count(rows.processes - 1) == 0 || cols.local_count(cols.processes - 1) == 0;
  require(choice.solver == Solver::scalapack || !has_empty_piece,
          "ELPA was to run on a grid with empty pieces, where it fails; let choose_solver() shape the grid");
  if (!fits_32_bits(matrix.rows(), choice)) {
    throw_on_all_ranks<EnvironmentError>(
        fmt::format("a matrix of size {} on a {} x {} grid is too large for {} (it indexes each rank's piece "
                    "with 32 bits), use more "
                    "ranks",
                    matrix.rows(), choice.shape.rows, choice.shape.cols, name_of(choice.solver)));
  }
}

double finite_max_abs(const DistributedMatrix& matrix) {
  const double largest = max_abs(matrix);
  if (!std::isfinite(largest)) {
    throw_on_all_ranks<EnvironmentError>(
        fmt::format("the matrix of size {} has NaN or Inf (an eigensolver may never return from one), look "
                    "for a diverged loss or "
                    "gradient",
                    matrix.rows()));
  }
  return largest;
}

/// A power of two, so that scaling is exact, that brings `largest` near 1 (nearer to it for numbers that are
/// denormal).
double scale_factor(double largest) {
  return std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));
}

RawPairs solve_on_root(const DistributedMatrix& matrix, double factor, Want want) {
  RawPairs raw;
  DenseMatrix a(matrix.rows(), matrix.cols(), gather_to_root(matrix));
  matrix.comm().on_root([&] {
    for (double& x : a.values) x *= factor;
    raw.values = want == Want::values ? values_by_lapack(a) : pairs_by_lapack(a);
  });
  if (want == Want::vectors) raw.vectors = std::move(a);
  return raw;
}

void run_backend(const SolverChoice& choice, const Communicator& members, DistributedMatrix& a,
                 DistributedMatrix* z, RawPairs& raw) {
  if (choice.solver == Solver::two_stage) {
    raw.values = values_by_two_stage(a, members);
  } else if (choice.solver == Solver::scalapack) {
    raw.values = z == nullptr ? values_by_scalapack(a) : pairs_by_scalapack(a, *z);
  } else {
    raw.values = z == nullptr ? values_by_elpa(a, members, choice.solver)
                              : pairs_by_elpa(a, *z, members, choice.solver, a.rows());
  }
}

RawPairs solve_on_grid(const DistributedMatrix& matrix, const SolverChoice& choice, double factor,
                       Want want) {
  const Communicator& comm = matrix.comm();
  ProcessGrid grid(comm, choice.shape);
  auto members = comm.split(grid.is_member() ? 0 : 1);
  RawPairs raw;
  // Every rank leaves agree() with the same answer, an error included, so that the grid is given back before
  // it goes on.
  std::exception_ptr failure;
  try {
    auto a = move_to(matrix, grid, choice.nb);
    scale(a, factor);
    std::optional<DistributedMatrix> z;
    if (want == Want::vectors) z.emplace(a.rows(), a.cols(), a.nb(), grid);
    comm.agree([&] {
      if (grid.is_member()) run_backend(choice, members, a, z ? &*z : nullptr, raw);
    });
    if (z) raw.vectors = DenseMatrix(matrix.rows(), matrix.cols(), gather_to_root(*z));
  } catch (const Error& error) {
    if (!error.on_all_ranks()) throw;
    failure = std::current_exception();
  }
  members.free();
  grid.release();
  if (failure) std::rethrow_exception(failure);
  return raw;
}

RawPairs solve(const DistributedMatrix& matrix, const SolverChoice& choice, double factor, Want want) {
  auto raw = choice.solver == Solver::lapack ? solve_on_root(matrix, factor, want)
                                             : solve_on_grid(matrix, choice, factor, want);
  raw.values.resize(static_cast<std::size_t>(matrix.rows()));
  matrix.comm().broadcast<double>(raw.values);
  return raw;
}

/// What the eigenvalues of a scaled matrix must add up to.
struct ExpectedSums {
  double trace = 0;
  double norm = 0;
};

ExpectedSums expected_sums(const DistributedMatrix& matrix, double factor) {
  return {factor * trace(matrix), factor * frobenius_norm(matrix)};
}

/// Fills the residuals of a spectrum (of the scaled matrix) and throws when the values are not those of the
/// matrix.
void check_sums(Spectrum& spectrum, const ExpectedSums& expected, Solver solver) {
  constexpr double kLargestResidual = 1e-10;
  double sum = 0;
  double sum_of_magnitudes = 0;
  double sum_of_squares = 0;
  for (const double value : spectrum.values) {
    sum += value;
    sum_of_magnitudes += std::abs(value);
    sum_of_squares += value * value;
  }
  const double square = expected.norm * expected.norm;
  spectrum.trace_residual = std::abs(sum - expected.trace) / sum_of_magnitudes;
  spectrum.norm_residual = std::abs(sum_of_squares - square) / square;
  if (spectrum.trace_residual <= kLargestResidual && spectrum.norm_residual <= kLargestResidual) return;
  throw_on_all_ranks<InternalError>(
      fmt::format("the eigenvalues that {} returned are not those of the matrix of size {}: their sum is off "
                  "by {:.1e}, the sum of "
                  "their squares by {:.1e}",
                  name_of(solver), spectrum.values.size(), spectrum.trace_residual, spectrum.norm_residual));
}

std::vector<double> residuals_of(const DistributedMatrix& matrix, const Eigenpairs& pairs,
                                 double largest_value) {
  const auto count = static_cast<std::int64_t>(pairs.values.size());
  const auto products = symmetric_multiply(matrix, pairs.vectors, count);
  const auto n = static_cast<std::size_t>(matrix.rows());
  std::vector<double> residuals(pairs.values.size());
  for (std::size_t k = 0; k < residuals.size(); ++k) {
    double squares = 0;
    for (std::size_t e = k * n; e < (k + 1) * n; ++e) {
      const double difference = (products[e] - pairs.values[k] * pairs.vectors[e]) / largest_value;
      squares += difference * difference;
    }
    residuals[k] = std::sqrt(squares);
  }
  return residuals;
}

/// All of a zero matrix's pairs: values 0, vectors from the identity.
Eigenpairs pairs_of_zero(std::int64_t n, std::int64_t count) {
  Eigenpairs pairs;
  pairs.values.assign(static_cast<std::size_t>(count), 0.0);
  pairs.residuals = pairs.values;
  pairs.vectors.assign(static_cast<std::size_t>(n * count), 0.0);
  for (std::int64_t k = 0; k < count; ++k) pairs.vectors[static_cast<std::size_t>(k * n + k)] = 1;
  return pairs;
}

}  // namespace

Spectrum solve_eigenvalues(const DistributedMatrix& matrix, const SolverChoice& choice) {
  check_solvable(matrix, choice);
  const double largest = finite_max_abs(matrix);
  Spectrum spectrum;
  spectrum.values.assign(static_cast<std::size_t>(matrix.rows()), 0.0);
  if (largest == 0) return spectrum;
  const double factor = scale_factor(largest);
  spectrum.values = solve(matrix, choice, factor, Want::values).values;
  std::reverse(spectrum.values.begin(), spectrum.values.end());
  check_sums(spectrum, expected_sums(matrix, factor), choice.solver);
  for (double& value : spectrum.values) value /= factor;
  return spectrum;
}

struct SpectrumBatch::Pending {
  std::int64_t n = 0;
  double factor = 0;  ///< 0 for a zero matrix, which is not solved
  ExpectedSums expected;
  DenseMatrix matrix;  ///< on the rank that solves it
};

void SpectrumBatch::add(const DistributedMatrix& matrix) {
  const double largest = finite_max_abs(matrix);
  auto next = std::make_shared<Pending>();
  next->n = matrix.rows();
  if (largest > 0) {
    next->factor = scale_factor(largest);
    next->expected = expected_sums(matrix, next->factor);
    auto elements = gather_to(matrix, static_cast<int>(pending_.size()));
    for (double& x : elements) x *= next->factor;
    if (!elements.empty()) next->matrix = DenseMatrix(next->n, next->n, std::move(elements));
  }
  pending_.push_back(std::move(next));
  if (static_cast<int>(pending_.size()) == comm_->size()) solve_pending();
}

void SpectrumBatch::solve_pending() {
  std::vector<double> mine;
  comm_->agree([&] {
    const auto rank = static_cast<std::size_t>(comm_->rank());
    if (rank < pending_.size() && pending_[rank]->factor > 0) mine = values_by_lapack(pending_[rank]->matrix);
  });
  for (std::size_t r = 0; r < pending_.size(); ++r) {
    const Pending& solved = *pending_[r];
    Spectrum spectrum;
    if (solved.factor > 0 && comm_->rank() == static_cast<int>(r)) spectrum.values = mine;
    spectrum.values.resize(static_cast<std::size_t>(solved.n), 0.0);
    if (solved.factor > 0) {
      comm_->broadcast<double>(spectrum.values, static_cast<int>(r));
      std::reverse(spectrum.values.begin(), spectrum.values.end());
      check_sums(spectrum, solved.expected, Solver::lapack);
      for (double& value : spectrum.values) value /= solved.factor;
    }
    done_.push_back(std::move(spectrum));
  }
  pending_.clear();
}

std::vector<Spectrum> SpectrumBatch::finish() {
  if (!pending_.empty()) solve_pending();
  return std::exchange(done_, {});
}

Eigenpairs solve_eigenpairs(const DistributedMatrix& matrix, std::int64_t count, const SolverChoice& choice) {
  check_solvable(matrix, choice);
  const std::int64_t n = matrix.rows();
  count = std::clamp<std::int64_t>(count, 0, n);
  const double largest = finite_max_abs(matrix);
  if (largest == 0) return pairs_of_zero(n, count);
  const double factor = scale_factor(largest);
  const auto raw = solve(matrix, choice, factor, Want::vectors);
  Spectrum spectrum{{raw.values.rbegin(), raw.values.rend()}, 0, 0};
  check_sums(spectrum, expected_sums(matrix, factor), choice.solver);

  Eigenpairs pairs;
  pairs.values.assign(spectrum.values.begin(), spectrum.values.begin() + count);
  for (double& value : pairs.values) value /= factor;
  pairs.vectors.resize(static_cast<std::size_t>(n * count));
  if (matrix.comm().is_root()) {
    for (std::int64_t k = 0; k < count; ++k) {
      std::copy_n(raw.vectors.column(n - 1 - k), n, pairs.vectors.begin() + k * n);
    }
    fix_signs(pairs.vectors, n);
  }
  matrix.comm().broadcast<double>(pairs.vectors);
  const double largest_value = std::max(std::abs(raw.values.front()), std::abs(raw.values.back())) / factor;
  pairs.residuals = residuals_of(matrix, pairs, largest_value);
  return pairs;
}

void fix_signs(std::span<double> vectors, std::int64_t n) {
  for (auto column = vectors.begin(); column != vectors.end(); column += n) {
    const auto smaller = [](double a, double b) { return std::abs(a) < std::abs(b); };
    if (*std::max_element(column, column + n, smaller) >= 0) continue;
    for (auto x = column; x != column + n; ++x) *x = -*x;
  }
}

}  // namespace grokscope
