#include <fmt/format.h>

#include "linalg/backends.hpp"
#include "linalg/lapack.hpp"
#include "linalg/scalapack.hpp"

namespace grokscope {
namespace {

constexpr int kOne = 1;

void check_info(int info, const char* routine, std::int64_t n) {
  if (info == 0) return;
  throw InternalError(
      fmt::format("{} failed with info = {} for a finite matrix of size {}", routine, info, n));
}

/// The size that a routine reported, with a margin: reported workspaces can be short.
int generous(double reported, const DistributedMatrix& a) {
  return fortran_int(static_cast<std::int64_t>(reported) + 4 * a.rows() +
                     8 * a.nb() * (a.nb() + a.local_ld()) + 1024);
}

}  // namespace

std::vector<double> values_by_scalapack(DistributedMatrix& a) {
  const int n = fortran_int(a.rows());
  const auto desc = a.descriptor();
  std::vector<double> values(static_cast<std::size_t>(n));
  double unused = 0;
  int info = 0;
  int query = -1;
  double work_size[4] = {};
  // PDSYEVD takes no 'N'; PDSYEV does, and uses the robust root-free QR (dsterf) on the tridiagonal matrix.
  pdsyev_("N", "L", &n, a.local().data(), &kOne, &kOne, desc.data(), values.data(), &unused, &kOne, &kOne,
          desc.data(), work_size, &query, &info);
  check_info(info, "pdsyev", n);
  const int lwork = generous(work_size[0], a);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  pdsyev_("N", "L", &n, a.local().data(), &kOne, &kOne, desc.data(), values.data(), &unused, &kOne, &kOne,
          desc.data(), work.data(), &lwork, &info);
  check_info(info, "pdsyev", n);
  return values;
}

std::vector<double> pairs_by_scalapack(DistributedMatrix& a, DistributedMatrix& z) {
  const int n = fortran_int(a.rows());
  const auto desc = a.descriptor();
  std::vector<double> values(static_cast<std::size_t>(n));
  int info = 0;
  int query = -1;
  double work_size[4] = {};
  int iwork_size[4] = {};
  pdsyevd_("V", "L", &n, a.local().data(), &kOne, &kOne, desc.data(), values.data(), z.local().data(), &kOne,
           &kOne, desc.data(), work_size, &query, iwork_size, &query, &info);
  check_info(info, "pdsyevd", n);
  const int lwork = generous(work_size[0], a);
  const int liwork = generous(iwork_size[0], a);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  pdsyevd_("V", "L", &n, a.local().data(), &kOne, &kOne, desc.data(), values.data(), z.local().data(), &kOne,
           &kOne, desc.data(), work.data(), &lwork, iwork.data(), &liwork, &info);
  check_info(info, "pdsyevd", n);
  return values;
}

}  // namespace grokscope
