// What will this run do, and what will it cost? (`grokscope check`)
#pragma once

#include <cstdint>
#include <string>

#include "run/configuration.hpp"
#include "run/cost_model.hpp"

namespace grokscope {

struct PlanRequest {
  int ranks = 1;
  int most_ranks = 1;      ///< above `ranks`: a table of 1, 2, 4, ... ranks up to this follows
  bool calibrate = true;   ///< measure machine and model for a moment; else the rates of `rates`, and counts
  bool has_machine = false;  ///< `rates` were measured already
  MachineRates rates;
};

struct Plan {
  std::string text;        ///< sizes, sides, solver, memory per rank, bytes on disk, time
  std::int64_t steps = 0;
  std::int64_t moments = 0;  ///< that are tracked
  double disk_bytes = 0;
  double seconds = 0;
};

/// "8", or "1:1024" for a table too; throws UserError for anything else. Local.
void parse_ranks(const std::string& text, PlanRequest& request);

/// Builds data and model, and makes no directory. Throws UserError where the limits forbid what is asked. Local.
Plan make_plan(RunConfiguration& configuration, const PlanRequest& request);

/// Throws UserError when the matrices and factors that would be stored at one moment exceed
/// computational_limits.max_gop_size_gb; returns a warning, or "", for warn_if_exceeds_gb. The task has data and model. Local.
std::string check_storage_limits(const RunConfiguration& configuration);

/// Bytes of a moment at which everything is stored that is to be stored; the last moment of a run is one. Compressed matrices are
/// left out: what they take is not known before. The task has data and model. Local.
double moment_bytes(const RunConfiguration& configuration);

}  // namespace grokscope
