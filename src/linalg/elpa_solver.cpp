#include <complex>

#include <elpa/elpa.h>
#include <fmt/format.h>

#include "linalg/backends.hpp"
#include "linalg/lapack.hpp"

namespace grokscope {
namespace {

/// ELPA's own elpa_strerr() is declared without C linkage and cannot be linked from C++.
const char* error_name(int status) {
  switch (status) {
#define GROKSCOPE_CASE(name, value, ...) \
  case value:                            \
    return #name;
    ELPA_FOR_ALL_ERRORS(GROKSCOPE_CASE)
#undef GROKSCOPE_CASE
    default:
      return "unknown";
  }
}

void check_elpa(int status, const char* call) {
  if (status == ELPA_OK) return;
  throw InternalError(fmt::format("ELPA failed in {} with status {} ({})", call, status, error_name(status)));
}

/// One ELPA object, set up for the layout of one matrix; freed by close(), which is collective as its setup
/// is.
class ElpaObject {
 public:
  ElpaObject(const DistributedMatrix& a, const Communicator& members, Solver stages, std::int64_t count) {
    check_elpa(elpa_init(ELPA_API_VERSION), "elpa_init");
    int status = ELPA_OK;
    handle_ = elpa_allocate(&status);
    check_elpa(status, "elpa_allocate");
    set("na", a.rows());
    set("nev", count);
    set("local_nrows", a.local_ld());
    set("local_ncols", a.local_cols());
    set("nblk", a.nb());
    set("mpi_comm_parent", MPI_Comm_c2f(members.get()));
    set("process_row", a.grid().row());
    set("process_col", a.grid().col());
    check_elpa(elpa_setup(handle_), "elpa_setup");
    set("solver", stages == Solver::elpa1 ? ELPA_SOLVER_1STAGE : ELPA_SOLVER_2STAGE);
  }
  ElpaObject(const ElpaObject&) = delete;
  ElpaObject& operator=(const ElpaObject&) = delete;

  elpa_t get() const { return handle_; }

  void close() {
    int status = ELPA_OK;
    elpa_deallocate(handle_, &status);
    check_elpa(status, "elpa_deallocate");
  }

 private:
  void set(const char* name, std::int64_t value) {
    int status = ELPA_OK;
    elpa_set_integer(handle_, name, fortran_int(value), &status);
    check_elpa(status, name);
  }

  elpa_t handle_ = nullptr;
};

}  // namespace

std::vector<double> values_by_elpa(DistributedMatrix& a, const Communicator& members, Solver stages) {
  std::vector<double> values(static_cast<std::size_t>(a.rows()));
  ElpaObject elpa(a, members, stages, a.rows());
  int status = ELPA_OK;
  elpa_eigenvalues_double(elpa.get(), a.local().data(), values.data(), &status);
  check_elpa(status, "elpa_eigenvalues");
  elpa.close();
  return values;
}

std::vector<double> pairs_by_elpa(DistributedMatrix& a, DistributedMatrix& z, const Communicator& members,
                                  Solver stages, std::int64_t count) {
  std::vector<double> values(static_cast<std::size_t>(a.rows()));
  ElpaObject elpa(a, members, stages, count);
  int status = ELPA_OK;
  elpa_eigenvectors_double(elpa.get(), a.local().data(), values.data(), z.local().data(), &status);
  check_elpa(status, "elpa_eigenvectors");
  elpa.close();
  values.resize(static_cast<std::size_t>(count));
  return values;
}

}  // namespace grokscope
