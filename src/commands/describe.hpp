// Which experiments are there, and which keys do they have? (`grokscope list`, `describe`)
#pragma once

#include <string>

#include "run/configuration.hpp"

namespace grokscope {

std::string list_text(Experiments experiments);

/// A table of every key of a study, as Markdown.
std::string describe_study_text();

/// Claim, citation and a table of every key of one experiment, as Markdown. Throws UserError for an unknown
/// name.
std::string describe_text(const std::string& name, Experiments experiments);

}  // namespace grokscope
