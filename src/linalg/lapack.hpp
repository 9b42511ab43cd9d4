// How are BLAS and LAPACK called?
// The Fortran prototypes that linalg uses (32-bit integers, as Debian builds them), declared once.
// Column-major throughout.
#pragma once

#include <cstdint>

#include "base/narrow.hpp"

extern "C" {
void dgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
            const double* alpha, const double* a, const int* lda, const double* b, const int* ldb,
            const double* beta, double* c, const int* ldc);
void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w,
             double* work, const int* lwork, int* iwork, const int* liwork, int* info);
void dsyevd_2stage_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w,
                    double* work, const int* lwork, int* iwork, const int* liwork, int* info);
void dsyevr_(const char* jobz, const char* range, const char* uplo, const int* n, double* a, const int* lda,
             const double* vl, const double* vu, const int* il, const int* iu, const double* abstol, int* m,
             double* w, double* z, const int* ldz, int* isuppz, double* work, const int* lwork, int* iwork,
             const int* liwork, int* info);
void dgeqrt3_(const int* m, const int* n, double* a, const int* lda, double* t, const int* ldt, int* info);
void dsytrd_sb2st_(const char* stage1, const char* vect, const char* uplo, const int* n, const int* kd, double* ab,
                   const int* ldab, double* d, double* e, double* hous, const int* lhous, double* work, const int* lwork,
                   int* info);
void dsterf_(const int* n, double* d, double* e, int* info);
}

namespace grokscope {

/// Narrows a size, or the length of a workspace, for the 32-bit integers of BLAS, LAPACK, ScaLAPACK and ELPA; throws
/// UserError when it does not fit.
inline int fortran_int(std::int64_t value) {
  return narrow_to_int(value, "rows, columns or elements of workspace", "LAPACK");
}

}  // namespace grokscope
