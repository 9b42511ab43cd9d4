// What is every number called, and how is it defined?
// One catalogue for the full matrix, the layers and the other definitions; its texts become attributes of the datasets.
#pragma once

#include <string>

#include "base/record.hpp"

namespace grokscope {

/// The quantity `name` ("gop_trace") placed under `prefix` ("" or "layers/embed/"); InternalError for an unknown name.
Quantity gop_quantity(const std::string& prefix, const std::string& name);

}  // namespace grokscope
