// One run: from a configuration to a finished run directory.
// Owns log, timers and stop flag of the run; its communicator is handed in, so that many sessions can live in one job, side
// by side or in turn, and give the bits that separate jobs would.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "comm/communicator.hpp"
#include "comm/environment.hpp"
#include "io/run_facts.hpp"
#include "run/configuration.hpp"
#include "run/expected.hpp"

namespace grokscope {

struct SessionOptions {
  bool fresh = false;
  std::optional<double> max_time_s;
  /// Looked at with every other wish to stop: why another session of the job wants it, "" when none does.
  std::function<std::string()> stop_asked;
  Verbosity verbosity = Verbosity::normal;
  std::vector<std::string> arguments;  ///< of the command line, for provenance
  LaunchInfo launch;
};

struct SessionResult {
  std::vector<Verdict> verdicts;
  bool already_done = false;
};

/// Trains, tracks, writes, and resumes what an earlier session left. Throws StopRequested after committing when asked to
/// stop. Collective over comm.
SessionResult run_session(const Communicator& comm, RunConfiguration& configuration, const SessionOptions& options);

/// The table /parameters of every file of a run.
std::vector<ParameterRow> parameter_rows(const ParameterSet& parameters);

}  // namespace grokscope
