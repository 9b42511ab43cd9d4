// What is every number called, and how is it defined?
// One catalogue for the full matrix, the layers and the other definitions; its texts become attributes of the datasets.
#pragma once

#include <string>
#include <vector>

#include "base/record.hpp"

namespace grokscope {

/// Which matrix C is.
enum class Definition {
  second_moment,  ///< (1/N) sum_i g_i g_i^T
  covariance,     ///< the same of g_i - gbar
  mean,           ///< gbar gbar^T
};

/// The names of all of them.
std::vector<std::string> gop_quantity_names();

/// The quantity `name` ("gop_trace") placed under `prefix` ("" or "layers/embed/"), of a C that is named elsewhere;
/// InternalError for an unknown name.
Quantity gop_quantity(const std::string& prefix, const std::string& name);

/// The same, and its text says which C it is of.
Quantity gop_quantity(const std::string& prefix, const std::string& name, Definition of);

}  // namespace grokscope
