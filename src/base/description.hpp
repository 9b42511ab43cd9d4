// What do stored numbers mean?
// Travels with whatever becomes a dataset, so that a reader of the file needs no other page.
#pragma once

#include <string>

namespace grokscope {

/// Stored as the attributes of the same names.
struct Description {
  std::string long_name;   ///< for an axis label
  std::string units;       ///< "1" when there is none
  std::string definition;  ///< the formula, with its normalisation
};

}  // namespace grokscope
