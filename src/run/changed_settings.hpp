// How do the settings differ from those that the run directory was written with?
#pragma once

#include <string>

#include "run/configuration.hpp"

namespace grokscope {

/// What forbids to resume: "training.lr: 0.1 -> 0.2; ..." of every key that changes results, and behind it those that do
/// not. Local.
std::string forbidding_changes(const std::string& stored_yaml, const RunConfiguration& configuration);

/// What has changed since the last launch without an effect on results, "" when nothing has. Called before the directory is
/// opened, which stores the present configuration. Local.
std::string safe_changes(const RunConfiguration& configuration);

}  // namespace grokscope
