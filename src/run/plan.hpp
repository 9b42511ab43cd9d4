// What will this run do, and what will it cost? (`grokscope check`)
#pragma once

#include <cstdint>
#include <string>

#include "run/study_configuration.hpp"

namespace grokscope {

struct Plan {
  std::string text;        ///< sizes, sides, solver, memory per rank, bytes on disk
  std::int64_t steps = 0;
  std::int64_t moments = 0;  ///< that are tracked
  double disk_bytes = 0;
};

/// Builds data and model, and makes no directory. Throws UserError where the limits forbid what is asked. Local.
Plan make_plan(RunConfiguration& configuration, int ranks);

/// One plan for each set of members that differ in their seed only, and the sum over all members. Local.
std::string plan_text(StudyConfiguration& study, int ranks);

/// Throws UserError when a matrix that would be stored exceeds computational_limits.max_gop_size_gb; returns a warning, or
/// "", for warn_if_exceeds_gb. Local.
std::string check_storage_limits(const RunConfiguration& configuration);

}  // namespace grokscope
