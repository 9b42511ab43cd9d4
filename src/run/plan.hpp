// What will this run do, and what will it cost? (`grokscope check`)
#pragma once

#include <string>

#include "run/configuration.hpp"

namespace grokscope {

/// Builds data and model, makes no directory, and returns the plan as text: sizes, sides, solver, memory per rank, bytes on
/// disk. Throws UserError where the limits forbid what is asked. Local.
std::string plan_text(RunConfiguration& configuration, int ranks);

/// Throws UserError when a matrix that would be stored exceeds computational_limits.max_gop_size_gb; returns a warning, or
/// "", for warn_if_exceeds_gb. Local.
std::string check_storage_limits(const RunConfiguration& configuration);

}  // namespace grokscope
