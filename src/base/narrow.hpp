// What if a number does not fit the 32-bit integers of MPI, BLAS, LAPACK, ScaLAPACK or ELPA?
// Then somebody asks for more than these libraries can index on one rank, and is told what to do about it.
#pragma once

#include <cstdint>

namespace grokscope {

/// Narrows a count of `what` ("elements of a message"); throws UserError where `library` could not count so far. Below 0 is
/// our own mistake: InternalError. Local.
int narrow_to_int(std::int64_t value, const char* what, const char* library);

}  // namespace grokscope
