#include <fmt/format.h>

#include "linalg/backends.hpp"
#include "linalg/lapack.hpp"

namespace grokscope {
namespace {

// Below this the two-stage reduction is no faster, and its band would be as wide as the matrix.
constexpr std::int64_t kTwoStageFrom = 128;
// The workspace of dsyevd with vectors, 1 + 6 n + 2 n^2, overflows a 32-bit integer beyond this.
constexpr std::int64_t kLargestForDsyevd = 32'766;

void check_info(int info, const char* routine, std::int64_t n) {
  if (info == 0) return;
  throw InternalError(
      fmt::format("{} failed with info = {} for a finite matrix of size {}", routine, info, n));
}

using DivideAndConquer = void (*)(const char*, const char*, const int*, double*, const int*, double*, double*,
                                  const int*, int*, const int*, int*);

/// Runs dsyevd or dsyevd_2stage, which share a signature, with the workspace that it asks for.
std::vector<double> run(DivideAndConquer routine, const char* name, const char* job, DenseMatrix& a) {
  const int n = fortran_int(a.rows);
  std::vector<double> values(static_cast<std::size_t>(n));
  int info = 0;
  int query = -1;
  double work_size = 0;
  int iwork_size = 0;
  routine(job, "L", &n, a.values.data(), &n, values.data(), &work_size, &query, &iwork_size, &query, &info);
  check_info(info, name, n);
  const int lwork = fortran_int(static_cast<std::int64_t>(work_size));
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(iwork_size));
  routine(job, "L", &n, a.values.data(), &n, values.data(), work.data(), &lwork, iwork.data(), &iwork_size,
          &info);
  check_info(info, name, n);
  return values;
}

std::vector<double> pairs_by_dsyevr(DenseMatrix& a) {
  const int n = fortran_int(a.rows);
  std::vector<double> values(static_cast<std::size_t>(n));
  DenseMatrix z(n, n);
  std::vector<int> support(2 * static_cast<std::size_t>(n));
  const int lwork = fortran_int(std::int64_t{64} * n);
  const int liwork = fortran_int(std::int64_t{10} * n);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  const double unused = 0;
  const int unused_index = 0;
  int found = 0;
  int info = 0;
  dsyevr_("V", "A", "L", &n, a.values.data(), &n, &unused, &unused, &unused_index, &unused_index, &unused,
          &found, values.data(), z.values.data(), &n, support.data(), work.data(), &lwork, iwork.data(),
          &liwork, &info);
  check_info(info, "dsyevr", n);
  require(found == n, "dsyevr found too few eigenvalues");
  a = std::move(z);
  return values;
}

}  // namespace

std::vector<double> values_by_lapack(DenseMatrix& a) {
  // Two stages (dense to band, band to tridiagonal) halve the time; they offer no vectors.
  if (a.rows >= kTwoStageFrom) return run(dsyevd_2stage_, "dsyevd_2stage", "N", a);
  return run(dsyevd_, "dsyevd", "N", a);
}

std::vector<double> pairs_by_lapack(DenseMatrix& a) {
  if (a.rows > kLargestForDsyevd) return pairs_by_dsyevr(a);
  return run(dsyevd_, "dsyevd", "V", a);
}

}  // namespace grokscope
