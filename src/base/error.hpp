// What can go wrong, and which exit code says so?
// Thrown everywhere, turned into an exit code in one place (src/main.cpp). Knows nothing of MPI:
// comm decides who prints and whether the peers must be aborted.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

namespace grokscope {

enum class ExitCode : int { done = 0, internal = 1, user = 2, environment = 3, requeue = 75 };

/// Base of every error that grokscope raises on purpose.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  ExitCode code() const { return code_; }

  /// True when every rank of the communicator is known to have raised the same error, so that it may be
  /// printed once and the ranks may leave without an abort.
  bool on_all_ranks() const { return on_all_ranks_; }
  void set_on_all_ranks() { on_all_ranks_ = true; }

 private:
  ExitCode code_;
  bool on_all_ranks_ = false;
};

/// Bad configuration or usage: says what, why, and a fix. Exit code 2.
class UserError : public Error {
 public:
  explicit UserError(const std::string& message) : Error(ExitCode::user, message) {}
};

/// The launcher, the disk, missing data: something outside the program. Exit code 3.
class EnvironmentError : public Error {
 public:
  explicit EnvironmentError(const std::string& message) : Error(ExitCode::environment, message) {}
};

/// A bug of ours; carries the source location. Exit code 1.
class InternalError : public Error {
 public:
  explicit InternalError(const std::string& message,
                         std::source_location where = std::source_location::current());
};

/// Raised at an agreed point on every rank when the run was asked to stop: not a failure. Exit code 75.
class StopRequested : public Error {
 public:
  explicit StopRequested(const std::string& reason) : Error(ExitCode::requeue, reason) { set_on_all_ranks(); }
};

/// Throws InternalError unless `condition` holds. For our own contracts, never for user input.
void require(bool condition, const char* message, std::source_location where = std::source_location::current());

/// Throws the error class that belongs to `code`.
[[noreturn]] void throw_error(ExitCode code, const std::string& message, bool on_all_ranks);

}  // namespace grokscope
