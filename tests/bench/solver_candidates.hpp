// How are the eigensolvers called that the program leaves aside, or calls in another way?
// For linalg_solvers.cpp, which compares them with those that it uses. Matrices are overwritten; eigenvalues are ascending.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "linalg/dense_matrix.hpp"
#include "linalg/distributed_matrix.hpp"
#include "linalg/lapack.hpp"
#include "linalg/scalapack.hpp"
#include "linalg/solver_choice.hpp"

namespace grokscope::bench {

inline void require_success(int status, const std::string& routine) {
  if (status != 0) throw InternalError(routine + " failed with " + std::to_string(status));
}

/// LAPACK in one stage, dense to tridiagonal at once: all eigenvalues, and where wanted all vectors. Local.
inline std::vector<double> by_dsyevd(DenseMatrix& a, bool vectors) {
  const int n = fortran_int(a.rows), query = -1;
  std::vector<double> values(static_cast<std::size_t>(n));
  int info = 0, iwork_size = 0;
  double work_size = 0;
  const char* job = vectors ? "V" : "N";
  dsyevd_(job, "L", &n, a.values.data(), &n, values.data(), &work_size, &query, &iwork_size, &query, &info);
  const int lwork = fortran_int(static_cast<std::int64_t>(work_size));
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(iwork_size));
  dsyevd_(job, "L", &n, a.values.data(), &n, values.data(), work.data(), &lwork, iwork.data(), &iwork_size, &info);
  require_success(info, "dsyevd");
  return values;
}

/// LAPACK's relatively robust representations: the `count` largest pairs. Local.
inline std::vector<double> by_dsyevr(DenseMatrix& a, std::int64_t count) {
  const int n = fortran_int(a.rows), first = fortran_int(a.rows - count + 1), query = -1;
  std::vector<double> values(static_cast<std::size_t>(n)), z(static_cast<std::size_t>(a.rows * count));
  std::vector<int> support(2 * static_cast<std::size_t>(count));
  const double unused = 0;
  int found = 0, info = 0, iwork_size = 0;
  double work_size = 0;
  const auto call = [&](double* work, const int* lwork, int* iwork, const int* liwork) {
    dsyevr_("V", "I", "L", &n, a.values.data(), &n, &unused, &unused, &first, &n, &unused, &found, values.data(), z.data(), &n,
            support.data(), work, lwork, iwork, liwork, &info);
    require_success(info, "dsyevr");
  };
  call(&work_size, &query, &iwork_size, &query);
  const int lwork = fortran_int(static_cast<std::int64_t>(work_size));
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(iwork_size));
  call(work.data(), &lwork, iwork.data(), &iwork_size);
  require(found == count, "dsyevr found another number of eigenvalues");
  values.resize(static_cast<std::size_t>(count));
  return values;
}

/// ScaLAPACK's relatively robust representations: all eigenvalues (count = 0) or the `count` largest pairs. Collective over the
/// grid of `a`.
inline std::vector<double> by_pdsyevr(DistributedMatrix& a, std::int64_t count) {
  const int one = 1, query = -1, n = fortran_int(a.rows()), first = fortran_int(a.rows() - count + 1);
  const auto desc = a.descriptor();
  const double unused = 0;
  std::vector<double> values(static_cast<std::size_t>(n));
  DistributedMatrix z(count > 0 ? a.rows() : 1, count > 0 ? a.rows() : 1, a.nb(), a.grid());
  const auto z_desc = count > 0 ? z.descriptor() : desc;
  int found = 0, made = 0, info = 0, iwork_size[8] = {};
  double work_size[8] = {};
  const auto call = [&](double* work, const int* lwork, int* iwork, const int* liwork) {
    pdsyevr_(count > 0 ? "V" : "N", count > 0 ? "I" : "A", "L", &n, a.local().data(), &one, &one, desc.data(), &unused, &unused,
             &first, &n, &found, &made, values.data(), z.local().data(), &one, &one, z_desc.data(), work, lwork, iwork, liwork,
             &info);
    require_success(info, "pdsyevr");
  };
  call(work_size, &query, iwork_size, &query);
  const int lwork = fortran_int(static_cast<std::int64_t>(work_size[0]) + 8 * a.rows());
  const int liwork = iwork_size[0] + 8 * n;
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  call(work.data(), &lwork, iwork.data(), &liwork);
  values.resize(static_cast<std::size_t>(found));
  return values;
}

}  // namespace grokscope::bench
