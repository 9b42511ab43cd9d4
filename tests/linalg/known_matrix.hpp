// A symmetric matrix whose spectrum is known by construction, on every rank: the oracle of the linalg tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "base/random.hpp"
#include "linalg/distributed_matrix.hpp"

namespace grokscope::test {

struct KnownMatrix {
  std::int64_t n = 0;
  std::vector<double> values;    ///< the spectrum, descending
  std::vector<double> elements;  ///< n x n, column-major

  double at(std::int64_t i, std::int64_t j) const { return elements[static_cast<std::size_t>(i + j * n)]; }
  double largest() const {
    double largest = 0;
    for (const double value : values) largest = std::max(largest, std::abs(value));
    return largest;
  }
};

/// The matrix whose element (i, j) is element(i, j); its spectrum is left to the caller.
inline KnownMatrix with_elements(std::int64_t n, const std::function<double(std::int64_t, std::int64_t)>& element) {
  KnownMatrix known{n, {}, std::vector<double>(static_cast<std::size_t>(n * n))};
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t i = 0; i < n; ++i) known.elements[static_cast<std::size_t>(i + j * n)] = element(i, j);
  }
  return known;
}

/// Q diag(values) Q^T with Q a product of three Householder reflections, in extended precision and rounded
/// once.
inline KnownMatrix with_spectrum(std::vector<double> values, std::uint64_t seed = 7) {
  const auto n = values.size();
  std::vector<long double> k(n * n, 0.0L);
  for (std::size_t i = 0; i < n; ++i) k[i + i * n] = values[i];
  for (std::uint64_t reflection = 0; reflection < 3; ++reflection) {
    RandomStream stream(seed, "householder", reflection);
    std::vector<long double> v(n);
    long double square = 0;
    for (auto& x : v) {
      x = stream.normal();
      square += x * x;
    }
    for (auto& x : v) x /= std::sqrt(square);
    std::vector<long double> w(n, 0.0L);
    long double c = 0;
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t i = 0; i < n; ++i) w[i] += k[i + j * n] * v[j];
    }
    for (std::size_t i = 0; i < n; ++i) c += v[i] * w[i];
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t i = 0; i < n; ++i)
        k[i + j * n] += 4 * c * v[i] * v[j] - 2 * (v[i] * w[j] + w[i] * v[j]);
    }
  }
  KnownMatrix known{static_cast<std::int64_t>(n), std::move(values), std::vector<double>(n * n)};
  std::sort(known.values.begin(), known.values.end(), std::greater<>());
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      known.elements[i + j * n] = static_cast<double>(k[i + j * n]);
      known.elements[j + i * n] = known.elements[i + j * n];
    }
  }
  return known;
}

/// Values 1, 1/2, 1/3, ...: separated, but not trivially.
inline std::vector<double> harmonic(std::int64_t n) {
  std::vector<double> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1.0 / static_cast<double>(i + 1);
  return values;
}

/// Deals the known matrix to a grid. What a lower-only matrix does not store is NaN, so that reading it
/// shows.
inline DistributedMatrix deal(const KnownMatrix& known, std::int64_t nb, const ProcessGrid& grid,
                              Triangles triangles = Triangles::full) {
  DistributedMatrix matrix(known.n, known.n, nb, grid);
  for (std::int64_t j = 0; j < matrix.local_cols(); ++j) {
    for (std::int64_t i = 0; i < matrix.local_rows(); ++i) {
      const std::int64_t i_glob = matrix.global_row(i);
      const std::int64_t j_glob = matrix.global_col(j);
      const bool stored = triangles == Triangles::full || i_glob >= j_glob;
      matrix.local_at(i, j) = stored ? known.at(i_glob, j_glob) : std::numeric_limits<double>::quiet_NaN();
    }
  }
  matrix.set_triangles(triangles);
  return matrix;
}

/// Every grid shape that uses all ranks (6 ranks: 1 x 6, 2 x 3, 3 x 2, 6 x 1) and one that leaves some out.
inline std::vector<GridShape> shapes_for(int ranks) {
  std::vector<GridShape> shapes;
  for (int rows = 1; rows <= ranks; ++rows) {
    if (ranks % rows == 0) shapes.push_back({rows, ranks / rows});
  }
  if (ranks > 1) shapes.push_back(solving_shape(ranks - 1));
  return shapes;
}

}  // namespace grokscope::test
