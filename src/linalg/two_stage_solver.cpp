#include <fmt/format.h>

#include <algorithm>

#include "linalg/backends.hpp"
#include "linalg/band_reduction.hpp"

namespace grokscope {
namespace {

// Wider bands make better GEMMs of the first stage and more work for the second, which one rank does
// (tests/bench/linalg_solvers.cpp).
constexpr std::int64_t kBandwidth = 32;

void check_info(int info, const char* routine) {
  if (info != 0) throw InternalError(fmt::format("{} failed with info = {} for a finite matrix", routine, info));
}

/// All eigenvalues of a band matrix, ascending; bulge chasing to a tridiagonal one, then QL. Local.
std::vector<double> values_of_band(BandMatrix band) {
  const int n = fortran_int(band.n), kd = fortran_int(band.bandwidth), ld = kd + 1, query = -1;
  std::vector<double> d(static_cast<std::size_t>(n)), e(static_cast<std::size_t>(n));
  int info = 0;
  double hous_size = 0, work_size = 0;
  dsytrd_sb2st_("Y", "N", "L", &n, &kd, band.lower.values.data(), &ld, d.data(), e.data(), &hous_size, &query, &work_size,
                &query, &info);
  check_info(info, "dsytrd_sb2st");
  const int hous_count = fortran_int(static_cast<std::int64_t>(hous_size));
  const int work_count = fortran_int(static_cast<std::int64_t>(work_size));
  std::vector<double> hous(static_cast<std::size_t>(hous_count)), work(static_cast<std::size_t>(work_count));
  dsytrd_sb2st_("Y", "N", "L", &n, &kd, band.lower.values.data(), &ld, d.data(), e.data(), hous.data(), &hous_count,
                work.data(), &work_count, &info);
  check_info(info, "dsytrd_sb2st");
  dsterf_(&n, d.data(), e.data(), &info);
  check_info(info, "dsterf");
  return d;
}

}  // namespace

std::vector<double> values_by_two_stage(DistributedMatrix& a, const Communicator& members) {
  if (a.rows() == 1) return std::vector<double>(a.local().begin(), a.local().end());
  auto band = reduce_to_band(a, members, std::min(kBandwidth, a.rows() - 1));
  return members.is_root() ? values_of_band(std::move(band)) : std::vector<double>{};
}

}  // namespace grokscope
