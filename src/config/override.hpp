// What did the command line change?
// "training.lr=0.02" sets any key of the document; the value is YAML. The name of the run directory tells
// which overrides were scientific.
#pragma once

#include <span>
#include <string>

#include "base/node.hpp"
#include "base/schema.hpp"

namespace grokscope {

/// A key and the value that it is to have; the value's marks say where both come from.
struct Assignment {
  std::string path;
  Node value;
};

/// Reads "training.lr=0.02" that stood at `place` of a file, or, with line 0, on the command line. Local. Throws
/// ConfigurationError.
Assignment parse_override(const std::string& text, const Mark& place = {});

/// Sets one key of the document, making sections as needed. Local. Throws ConfigurationError.
void set_key(Node& root, const Assignment& assignment);

/// Sets one key of the document; its marks name the override. Local. Throws ConfigurationError.
void apply_override(Node& root, const std::string& override_text);

/// The name of a key where the whole path would be long: its last component where no other section has that name or
/// where it is one of training's, else the path. Local.
std::string short_key_name(const std::string& path, std::span<const KeyRow> rows);

/// A value as part of a file name: brackets, quotes and blanks dropped; anything else that a file name should not hold
/// becomes '_', and a hash keeps such values apart. Local.
std::string file_name_part(const std::string& value);

/// Returns what the overrides of scientific keys append to the run directory's name: "+lr=0.02+width=64",
/// sorted, at most 60 characters, else "+" and a hash; keys by their short names. Later overrides of a key
/// replace earlier ones. Local.
std::string overrides_suffix(std::span<const std::string> overrides, const Schemas& schemas);

}  // namespace grokscope
