// What did the command line change?
// "training.lr=0.02" sets any key of the document; the value is YAML. The name of the run directory tells
// which overrides were scientific.
#pragma once

#include <span>
#include <string>

#include "base/node.hpp"
#include "base/schema.hpp"

namespace grokscope {

/// Sets one key of the document, making sections as needed; its marks name the override. Local. Throws
/// UserError.
void apply_override(Node& root, const std::string& override_text);

/// Returns what the overrides of scientific keys append to the run directory's name: "+lr=0.02+width=64",
/// sorted, at most 60 characters, else "+" and a hash. A key is named by its last component where no other
/// section has that name or where it is one of training's, else by its whole path. Later overrides of a key
/// replace earlier ones. Local.
std::string overrides_suffix(std::span<const std::string> overrides, const Schemas& schemas);

}  // namespace grokscope
