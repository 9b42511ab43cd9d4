#include "base/error.hpp"

#include <fmt/format.h>

namespace grokscope {
namespace {

std::string with_location(const std::string& message, const std::source_location& where) {
  return fmt::format("{} (this is a bug in grokscope, at {}:{} in {}; please report it)", message,
                     where.file_name(), where.line(), where.function_name());
}

}  // namespace

InternalError::InternalError(const std::string& message, std::source_location where)
    : Error(ExitCode::internal, with_location(message, where)) {}

void require(bool condition, const char* message, std::source_location where) {
  if (!condition) throw InternalError(message, where);
}

namespace {

template <class Specific>
[[noreturn]] void throw_as(Specific error, bool on_all_ranks) {
  if (on_all_ranks) error.set_on_all_ranks();
  throw error;
}

}  // namespace

void throw_error(ExitCode code, const std::string& message, bool on_all_ranks) {
  switch (code) {
    case ExitCode::user: throw_as(UserError(message), on_all_ranks);
    case ExitCode::environment: throw_as(EnvironmentError(message), on_all_ranks);
    case ExitCode::requeue: throw_as(StopRequested(message), on_all_ranks);
    default: throw_as(Error(code, message), on_all_ranks);
  }
}

}  // namespace grokscope
