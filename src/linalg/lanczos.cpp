#include "linalg/lanczos.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>

#include "base/random.hpp"
#include "linalg/backends.hpp"
#include "linalg/matrix_sums.hpp"
#include "linalg/redistribution.hpp"
#include "linalg/symmetric_product.hpp"

namespace grokscope {
namespace {

// Blocks that a probe adds to the restarted basis; the basis has room for exactly these.
constexpr std::int64_t kProbeBlocks = 6;

double norm(const double* x, std::int64_t n) {
  return std::sqrt(std::inner_product(x, x + n, x, 0.0));
}

/// Sizes of one iteration. Where the basis would hold half of the space, it holds all of it: one exact step.
struct BasisSizes {
  BasisSizes(std::int64_t n, std::int64_t k)
      : wanted(k), block(std::min(n, std::clamp<std::int64_t>(k, 8, 32))) {
    kept = wanted + block;
    largest = kept + std::max(kProbeBlocks * block, wanted);
    if (2 * largest >= n) block = kept = largest = n;
  }
  bool is_whole_space(std::int64_t n) const { return largest == n; }

  std::int64_t wanted;
  std::int64_t block;
  std::int64_t kept = 0;     ///< Ritz vectors that survive a restart
  std::int64_t largest = 0;  ///< columns of the basis
};

/// The Rayleigh-Ritz approximations that a basis offers, best first.
struct RitzPairs {
  std::vector<double> values;
  DenseMatrix vectors;        ///< X = V S
  DenseMatrix products;       ///< K X = W S
  DenseMatrix residuals;      ///< K X - X Theta
  std::vector<double> norms;  ///< of the residuals, relative to the largest |Ritz value|
};

/// An orthonormal basis V with W = K V and H = V^T K V, grown by blocks.
class Basis {
 public:
  Basis(const SymmetricOperator& apply, std::int64_t n, const BasisSizes& sizes, std::uint64_t seed)
      : apply_(apply),
        n_(n),
        v_(n, sizes.largest),
        w_(n, sizes.largest),
        h_(sizes.largest, sizes.largest),
        seed_(seed) {}

  std::int64_t size() const { return size_; }
  bool has_room_for(std::int64_t columns) const { return size_ + columns <= v_.cols; }
  bool is_complete() const { return size_ == n_; }
  int blocks() const { return blocks_; }
  /// Power of two that brings the operator near 1; 0 once the operator has turned out to be zero.
  double factor() const { return factor_; }

  DenseMatrix random_block(std::int64_t columns);
  DenseMatrix last_products(std::int64_t columns) const;
  /// Appends what is new in the directions of `block`.
  void append(DenseMatrix block);
  void append_orthonormal(const DenseMatrix& block);
  RitzPairs ritz_pairs(std::int64_t count) const;
  void restart(const RitzPairs& ritz);

 private:
  void fill_random(double* column);
  void orthonormalise(DenseMatrix& block);
  void store_products(std::vector<double> products);

  const SymmetricOperator& apply_;
  std::int64_t n_;
  std::int64_t size_ = 0;
  DenseMatrix v_;
  DenseMatrix w_;
  DenseMatrix h_;
  std::uint64_t seed_;
  std::uint64_t draws_ = 0;
  int blocks_ = 0;
  double factor_ = 0;
};

void Basis::fill_random(double* column) {
  RandomStream stream(seed_, "lanczos", draws_++);
  for (std::int64_t i = 0; i < n_; ++i) column[i] = stream.uniform() - 0.5;
  const double length = norm(column, n_);
  for (std::int64_t i = 0; i < n_; ++i) column[i] /= length;
}

DenseMatrix Basis::random_block(std::int64_t columns) {
  DenseMatrix block(n_, columns);
  for (std::int64_t c = 0; c < columns; ++c) fill_random(block.column(c));
  return block;
}

DenseMatrix Basis::last_products(std::int64_t columns) const {
  DenseMatrix block(n_, columns);
  std::copy_n(w_.column(size_ - columns), n_ * columns, block.values.begin());
  return block;
}

/// Repeats Gram-Schmidt until a pass changes next to nothing ("twice is enough" is true only of vectors that
/// are not nearly dependent); a vector that vanishes is replaced by a random one.
void Basis::orthonormalise(DenseMatrix& block) {
  constexpr int kPasses = 20;
  bool settled = false;
  for (int pass = 0; pass < kPasses && !settled; ++pass) {
    settled = pass > 0;
    DenseMatrix overlap(size_, block.cols);
    gemm(1, Op::transpose, v_.columns(0, size_), block.view(), 0, overlap.view());
    gemm(-1, Op::none, v_.columns(0, size_), overlap.view(), 1, block.view());
    for (std::int64_t c = 0; c < block.cols; ++c) {
      double* column = block.column(c);
      for (std::int64_t e = 0; e < c; ++e) {
        const double* earlier = block.column(e);
        const double component = std::inner_product(earlier, earlier + n_, column, 0.0);
        for (std::int64_t i = 0; i < n_; ++i) column[i] -= component * earlier[i];
      }
      const double length = norm(column, n_);
      settled = settled && length > 0.7;
      if (length < 1e-200 || (pass > 0 && length < 1e-13)) {
        fill_random(column);
      } else {
        for (std::int64_t i = 0; i < n_; ++i) column[i] /= length;
      }
    }
  }
  require(settled, "Lanczos could not make its block orthogonal to the basis");
}

void Basis::store_products(std::vector<double> products) {
  double largest = 0;
  bool finite = true;
  for (const double x : products) {
    finite = finite && std::isfinite(x);
    largest = std::max(largest, std::abs(x));
  }
  if (!finite) {
    throw EnvironmentError(
        fmt::format("the operator of size {} returned NaN or Inf (no eigenvalues follow from that), "
                    "look for a diverged loss or gradient",
                    n_));
  }
  if (factor_ == 0 && largest > 0) factor_ = std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));
  std::transform(products.begin(), products.end(), w_.column(size_), [&](double x) { return factor_ * x; });
}

void Basis::append(DenseMatrix block) {
  block.cols = std::min(block.cols, n_ - size_);
  block.values.resize(static_cast<std::size_t>(n_ * block.cols));
  orthonormalise(block);
  append_orthonormal(block);
}

void Basis::append_orthonormal(const DenseMatrix& block) {
  std::copy(block.values.begin(), block.values.end(), v_.column(size_));
  store_products(apply_(block.values, block.cols));
  ++blocks_;
  const std::int64_t grown = size_ + block.cols;
  gemm(1, Op::transpose, v_.columns(0, grown), w_.columns(size_, block.cols), 0,
       {h_.column(size_), grown, block.cols, h_.rows});
  for (std::int64_t j = size_; j < grown; ++j) {
    for (std::int64_t i = 0; i <= j; ++i) h_.at(j, i) = h_.at(i, j);
  }
  size_ = grown;
}

RitzPairs Basis::ritz_pairs(std::int64_t count) const {
  count = std::min(count, size_);
  DenseMatrix projected(size_, size_);
  for (std::int64_t j = 0; j < size_; ++j) std::copy_n(h_.column(j), size_, projected.column(j));
  const auto ascending = pairs_by_lapack(projected);
  DenseMatrix coefficients(size_, count);
  RitzPairs ritz{{ascending.rbegin(), ascending.rbegin() + count}, {n_, count}, {n_, count}, {}, {}};
  for (std::int64_t c = 0; c < count; ++c)
    std::copy_n(projected.column(size_ - 1 - c), size_, coefficients.column(c));
  gemm(1, Op::none, v_.columns(0, size_), coefficients.view(), 0, ritz.vectors.view());
  gemm(1, Op::none, w_.columns(0, size_), coefficients.view(), 0, ritz.products.view());

  const double largest = std::max(std::abs(ascending.front()), std::abs(ascending.back()));
  ritz.residuals = ritz.products;
  for (std::int64_t c = 0; c < count; ++c) {
    const double value = ritz.values[static_cast<std::size_t>(c)];
    for (std::int64_t i = 0; i < n_; ++i) ritz.residuals.at(i, c) -= value * ritz.vectors.at(i, c);
    ritz.norms.push_back(largest > 0 ? norm(ritz.residuals.column(c), n_) / largest : 0.0);
  }
  return ritz;
}

void Basis::restart(const RitzPairs& ritz) {
  size_ = ritz.vectors.cols;
  std::copy(ritz.vectors.values.begin(), ritz.vectors.values.end(), v_.values.begin());
  std::copy(ritz.products.values.begin(), ritz.products.values.end(), w_.values.begin());
  std::fill(h_.values.begin(), h_.values.end(), 0.0);
  for (std::int64_t c = 0; c < size_; ++c) h_.at(c, c) = ritz.values[static_cast<std::size_t>(c)];
}

/// The residuals of the best pairs that have not converged, at most a block of them: the next Lanczos block.
DenseMatrix next_block(const RitzPairs& ritz, std::int64_t block, double tolerance) {
  DenseMatrix next(ritz.vectors.rows, 0);
  for (std::size_t c = 0; c < ritz.norms.size() && next.cols < block; ++c) {
    if (ritz.norms[c] <= tolerance) continue;
    const double* residual = ritz.residuals.column(static_cast<std::int64_t>(c));
    next.values.insert(next.values.end(), residual, residual + next.rows);
    ++next.cols;
  }
  return next;
}

class Lanczos {
 public:
  Lanczos(const SymmetricOperator& apply, std::int64_t n, std::int64_t k, const LanczosOptions& options)
      : sizes_(n, k), options_(options), basis_(apply, n, sizes_, options.seed) {
    if (sizes_.is_whole_space(n)) {
      basis_.append_orthonormal(identity());
    } else {
      basis_.append(basis_.random_block(sizes_.block));
    }
  }

  TopEigenpairs run() {
    auto ritz = basis_.ritz_pairs(sizes_.kept);
    while (!is_done(ritz) && basis_.blocks() < options_.max_blocks) {
      if (all_small(ritz)) {
        ritz = probe(ritz);
        continue;
      }
      if (!basis_.has_room_for(sizes_.block)) basis_.restart(ritz);
      auto block = next_block(ritz, sizes_.block, options_.tolerance);
      // All pairs are exact, but there are fewer than wanted: the Krylov space is closed, so start another
      // one.
      if (block.cols == 0) block = basis_.random_block(sizes_.block);
      basis_.append(std::move(block));
      ritz = basis_.ritz_pairs(sizes_.kept);
    }
    return result(ritz);
  }

 private:
  DenseMatrix identity() const {
    DenseMatrix block(sizes_.block, sizes_.block);
    for (std::int64_t c = 0; c < block.cols; ++c) block.at(c, c) = 1;
    return block;
  }

  bool all_small(const RitzPairs& ritz) const {
    const auto wanted = static_cast<std::size_t>(sizes_.wanted);
    if (ritz.norms.size() < wanted) return false;
    return std::all_of(ritz.norms.begin(), ritz.norms.begin() + sizes_.wanted,
                       [&](double residual) { return residual <= options_.tolerance; });
  }

  bool is_done(const RitzPairs& ritz) const {
    if (basis_.is_complete() || basis_.factor() == 0) return true;
    if (!all_small(ritz)) return false;
    return options_.known_values.empty() ? probed_ || !options_.probe : agrees(ritz);
  }

  /// True when no wanted value is further from the known one than a solver's rounding.
  bool agrees(const RitzPairs& ritz) const {
    constexpr double kRounding = 1e-10;
    double largest = 0;
    for (const double value : options_.known_values) largest = std::max(largest, std::abs(value));
    for (std::size_t c = 0; c < static_cast<std::size_t>(sizes_.wanted); ++c) {
      if (std::abs(ritz.values[c] / basis_.factor() - options_.known_values[c]) > kRounding * largest)
        return false;
    }
    return true;
  }

  /// Looks for eigenvectors that the start block missed: adds a fresh random block and what K makes of it.
  /// The pairs pass (probed_) when none of the wanted values rises.
  RitzPairs probe(const RitzPairs& before) {
    basis_.restart(before);
    basis_.append(basis_.random_block(sizes_.block));
    for (std::int64_t b = 1; b < kProbeBlocks && !basis_.is_complete(); ++b) {
      basis_.append(basis_.last_products(sizes_.block));
    }
    auto after = basis_.ritz_pairs(sizes_.kept);
    probed_ = true;
    for (std::size_t c = 0; c < static_cast<std::size_t>(sizes_.wanted); ++c) {
      if (after.values[c] - before.values[c] > options_.tolerance * std::abs(after.values[0]))
        probed_ = false;
    }
    return after;
  }

  TopEigenpairs result(RitzPairs& ritz) const {
    TopEigenpairs top;
    top.converged = is_done(ritz);
    top.blocks = basis_.blocks();
    ritz.values.resize(static_cast<std::size_t>(sizes_.wanted));
    ritz.norms.resize(ritz.values.size());
    ritz.vectors.values.resize(static_cast<std::size_t>(sizes_.wanted * ritz.vectors.rows));
    for (double& value : ritz.values) value = basis_.factor() > 0 ? value / basis_.factor() : 0.0;
    fix_signs(ritz.vectors.values, ritz.vectors.rows);
    top.pairs = {std::move(ritz.values), std::move(ritz.vectors.values), std::move(ritz.norms)};
    return top;
  }

  BasisSizes sizes_;
  const LanczosOptions& options_;
  Basis basis_;
  bool probed_ = false;
};

/// Rank 0's operator: tells the other ranks, which are in serve(), what to multiply. 0 columns sends them
/// home.
std::vector<double> multiply_with_all(const DistributedMatrix& matrix, std::span<const double> x,
                                      std::int64_t k) {
  matrix.comm().broadcast_value(k);
  std::vector<double> shared(x.begin(), x.end());
  matrix.comm().broadcast<double>(shared);
  return symmetric_multiply(matrix, shared, k);
}

void serve(const DistributedMatrix& matrix) {
  while (const std::int64_t k = matrix.comm().broadcast_value(std::int64_t{0})) {
    std::vector<double> x(static_cast<std::size_t>(matrix.rows() * k));
    matrix.comm().broadcast<double>(x);
    symmetric_multiply(matrix, x, k);
  }
}

void broadcast(TopEigenpairs& top, const Communicator& comm, std::int64_t n, std::int64_t k) {
  top.converged = comm.broadcast_value(std::int64_t{top.converged}) != 0;
  top.blocks = static_cast<int>(comm.broadcast_value(std::int64_t{top.blocks}));
  top.pairs.values.resize(static_cast<std::size_t>(k));
  top.pairs.residuals.resize(static_cast<std::size_t>(k));
  top.pairs.vectors.resize(static_cast<std::size_t>(n * k));
  comm.broadcast<double>(top.pairs.values);
  comm.broadcast<double>(top.pairs.residuals);
  comm.broadcast<double>(top.pairs.vectors);
}

Eigenpairs full_solve(const DistributedMatrix& matrix, std::int64_t k) {
  SolverRequest request;
  request.n = matrix.rows();
  request.ranks = matrix.comm().size();
  request.vectors = true;
  DistributedMatrix full = matrix;
  mirror_lower(full);
  return solve_eigenpairs(full, k, choose_solver(request));
}

}  // namespace

TopEigenpairs top_eigenpairs(const SymmetricOperator& apply, std::int64_t n, std::int64_t k,
                             const LanczosOptions& options) {
  k = std::clamp<std::int64_t>(k, 0, n);
  require(options.known_values.empty() || static_cast<std::int64_t>(options.known_values.size()) >= k,
          "Lanczos was given fewer known eigenvalues than it is asked for");
  if (k == 0) return {{}, 0, true};
  return Lanczos(apply, n, k, options).run();
}

TopEigenpairs top_eigenpairs(const DistributedMatrix& matrix, std::int64_t k, const LanczosOptions& options) {
  const Communicator& comm = matrix.comm();
  const std::int64_t n = matrix.rows();
  k = std::clamp<std::int64_t>(k, 0, n);
  if (k == 0) return {{}, 0, true};
  if (BasisSizes(n, k).is_whole_space(n)) return {full_solve(matrix, k), 0, true};
  TopEigenpairs top;
  comm.agree([&] {
    if (!comm.is_root()) return serve(matrix);
    std::exception_ptr failure;
    try {
      const auto apply = [&](std::span<const double> x, std::int64_t columns) {
        return multiply_with_all(matrix, x, columns);
      };
      top = top_eigenpairs(apply, n, k, options);
    } catch (...) {
      failure = std::current_exception();
    }
    comm.broadcast_value(std::int64_t{0});
    if (failure) std::rethrow_exception(failure);
  });
  broadcast(top, comm, n, k);
  if (!top.converged) top.pairs = full_solve(matrix, k);
  return top;
}

}  // namespace grokscope
