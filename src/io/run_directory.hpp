// Whose directory is this, and what lies where in it?
// Creates or reopens a run directory and holds its lock, configuration, status and data file. What is
// measured and when it is committed belongs to RunWriter. The layout is the user's contract: README, "The run
// directory".
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/named_array.hpp"
#include "comm/communicator.hpp"
#include "io/attributes.hpp"
#include "io/directory_lock.hpp"

namespace grokscope {

/// What makes a run this run. `fingerprint` covers everything scientific in the configuration.
struct RunIdentity {
  /// A study has members in place of segments and checkpoints.
  enum class Kind { run, study };

  std::string fingerprint;
  std::string resolved_yaml;
  std::string resolved_json;  ///< a JSON object; the fingerprint is added to it
  std::string input_yaml;
  Kind kind = Kind::run;
};

enum class OpenMode { resume, fresh };

enum class RunState { running, checkpointed, done, failed };

struct RunStatus {
  RunState state = RunState::running;
  std::string reason;
  int exit_code = 0;
  Attributes details;  ///< further keys for STATUS
};

class RunDirectory {
 public:
  /// Says how this configuration differs from the stored config.yaml, for the message that refuses.
  using ExplainDifference = std::function<std::string(const std::string& stored_config_yaml)>;

  /// Creates or reopens `path` and locks it. `fresh` first deletes the files that grokscope writes, and only
  /// in a directory that carries our config.json. Throws UserError when the directory belongs to another
  /// configuration, holds foreign files or is in use, EnvironmentError when it cannot be written. Collective
  /// over comm.
  static RunDirectory open(const Communicator& comm, const std::filesystem::path& path,
                           const RunIdentity& identity, OpenMode mode,
                           const ExplainDifference& explain_difference);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path segments() const { return path_ / ".segments"; }
  /// Matrices that are being written.
  std::filesystem::path work() const { return path_ / ".work"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  const std::string& fingerprint() const { return fingerprint_; }
  /// False where the file system has no locks. Known on the root only.
  bool is_locked() const { return lock_ && lock_->is_effective(); }

  /// Replaces STATUS. Local: the root calls it, or the rank that fails.
  void write_status(const RunStatus& status) const;

  /// Writes data.h5 from the root's arrays ("train/ids", "test/inputs", ...), or checks that the one from an
  /// earlier launch holds the same. Collective over comm.
  void write_data(const Communicator& comm, std::span<const NamedArray> arrays) const;

  /// Releases the lock. Local.
  void close() { lock_.reset(); }

 private:
  RunDirectory(std::filesystem::path path, std::string fingerprint);

  std::filesystem::path path_;
  std::string fingerprint_;
  std::optional<DirectoryLock> lock_;
};

/// Deletes what grokscope wrote of the run in `path`, if there is one, as OpenMode::fresh does. Throws UserError where it is in use
/// or somebody else's. Local.
void delete_run(const std::filesystem::path& path);

/// The fingerprint that the run in `path` was made with, nothing where there is no run. Throws UserError for a config.json
/// of somebody else. Local.
std::optional<std::string> stored_fingerprint(const std::filesystem::path& path);

/// State, reason and exit code of STATUS, nothing where there is none that can be read. Local.
std::optional<RunStatus> read_status(const std::filesystem::path& run_directory);

/// "done": how STATUS and study.h5 call a state.
std::string name_of(RunState state);

/// Reads all arrays of a data.h5; throws EnvironmentError when its content is not what was written. Local.
std::vector<NamedArray> read_data(const std::filesystem::path& path);

}  // namespace grokscope
