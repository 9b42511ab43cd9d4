#include "base/narrow.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace grokscope {

int narrow_to_int(std::int64_t value, const char* what, const char* library) {
  require(value >= 0, "a negative number of elements");
  if (value <= INT32_MAX) return static_cast<int>(value);
  throw UserError(fmt::format("{} {} on one rank are too many ({} counts in 32-bit integers, up to {}), use more ranks, fewer "
                              "gop_tracking.examples, or a smaller model", value, what, library, INT32_MAX));
}

}  // namespace grokscope
