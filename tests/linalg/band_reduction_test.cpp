// The band matrix must have the eigenvalues of the full one, at every bandwidth, on every grid, from one triangle alone.
#include "linalg/band_reduction.hpp"

#include <gtest/gtest.h>

#include "known_matrix.hpp"
#include "linalg/backends.hpp"

namespace grokscope {
namespace {

class BandReductionTest : public testing::Test {
 protected:
  Communicator comm = Communicator::duplicate(MPI_COMM_WORLD);
  void TearDown() override { comm.free(); }

  /// The band of a known matrix, on every rank (zeros where the grid has no part of it).
  BandMatrix reduce(const test::KnownMatrix& known, GridShape shape, std::int64_t nb, std::int64_t bandwidth,
                    Triangles triangles = Triangles::lower) {
    ProcessGrid grid(comm, shape);
    auto members = comm.split(grid.is_member() ? 0 : 1);
    auto a = test::deal(known, nb, grid, triangles);
    BandMatrix band{known.n, bandwidth, DenseMatrix(bandwidth + 1, known.n)};
    if (grid.is_member()) {
      auto reduced = reduce_to_band(a, members, bandwidth);
      if (members.is_root()) band = std::move(reduced);
    }
    comm.broadcast<double>(band.lower.values);
    members.free();
    grid.release();
    return band;
  }

  static std::vector<double> eigenvalues(const BandMatrix& band) {
    DenseMatrix full(band.n, band.n);
    for (std::int64_t j = 0; j < band.n; ++j) {
      for (std::int64_t i = j; i < std::min(band.n, j + band.bandwidth + 1); ++i) full.at(i, j) = band.lower.at(i - j, j);
    }
    return values_by_lapack(full);
  }
};

TEST_F(BandReductionTest, KeepsTheSpectrum) {
  for (const std::int64_t n : {2, 3, 17, 64, 101}) {
    const auto known = test::with_spectrum(test::harmonic(n));
    for (const GridShape shape : test::shapes_for(comm.size())) {
      for (const std::int64_t nb : {3, 8, 64}) {
        for (const std::int64_t bandwidth : {std::int64_t{1}, std::int64_t{2}, std::int64_t{7}, std::int64_t{32}, n - 1}) {
          if (bandwidth >= n) continue;
          const auto values = eigenvalues(reduce(known, shape, nb, bandwidth));
          for (std::size_t i = 0; i < values.size(); ++i) {
            ASSERT_NEAR(values[i], known.values[values.size() - 1 - i], 3e-14)
                << "n " << n << ", nb " << nb << ", bandwidth " << bandwidth << ", " << shape.rows << " x " << shape.cols;
          }
        }
      }
    }
  }
}

TEST_F(BandReductionTest, ReadsTheLowerTriangleAlone) {
  const auto known = test::with_spectrum(test::harmonic(75));
  const auto shape = filling_shape(comm.size());
  EXPECT_EQ(reduce(known, shape, 8, 5, Triangles::lower).lower.values, reduce(known, shape, 8, 5, Triangles::full).lower.values);
}

TEST_F(BandReductionTest, LeavesABandMatrixItsSpectrumAndItsFirstBlock) {
  // Already inside the band: every reflector is the identity up to signs, so that the first block stays as it is.
  const std::int64_t n = 40;
  test::KnownMatrix known{n, std::vector<double>(n), std::vector<double>(n * n)};
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t i = std::max<std::int64_t>(0, j - 2); i < std::min(n, j + 3); ++i) {
      known.elements[static_cast<std::size_t>(i + j * n)] = 1.0 / static_cast<double>(1 + i + j) + (i == j ? 1.0 : 0.0);
    }
  }
  const auto band = reduce(known, filling_shape(comm.size()), 8, 3);
  for (std::int64_t j = 0; j < 3; ++j) {
    for (std::int64_t i = j; i < 3; ++i) EXPECT_NEAR(band.lower.at(i - j, j), known.at(i, j), 1e-15);
  }
  DenseMatrix full(n, n, known.elements);
  const auto expected = values_by_lapack(full), values = eigenvalues(band);
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-14);
}

TEST_F(BandReductionTest, RefusesImpossibleBands) {
  ProcessGrid grid(comm, filling_shape(comm.size()));
  auto a = test::deal(test::with_spectrum(test::harmonic(9)), 4, grid);
  EXPECT_THROW(reduce_to_band(a, comm, 0), InternalError);
  EXPECT_THROW(reduce_to_band(a, comm, 9), InternalError);
  grid.release();
}

}  // namespace
}  // namespace grokscope
