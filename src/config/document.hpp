// What does this YAML text say, and where?
// Turns a file into a tree whose keys and values know their places. Refuses what YAML readers pass over in
// silence: keys given twice, text without its closing quote, cycles, tags. Knows no schema.
#pragma once

#include <filesystem>
#include <string>

#include "base/node.hpp"

namespace grokscope {

/// Reads a configuration file; its top level is a map. Local. Throws UserError with every problem and its
/// place.
Node load_document(const std::filesystem::path& path);

/// The same for a text; `file` is the name that its marks carry.
Node parse_document(const std::string& text, const std::string& file);

/// Reads one YAML value of any kind ("0.02", "[1, 2]", "{kind: log}") that stood in no file; an empty text is
/// nothing. `origin` says where from ("override 'training.lr=0.02'") and is the mark of everything in it.
Node parse_value(const std::string& text, const std::string& origin);

}  // namespace grokscope
