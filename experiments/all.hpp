// Which papers are replicated here?
#pragma once

#include <vector>

#include "train/task.hpp"

namespace grokscope {

/// Every experiment, in the order of its number.
std::vector<Experiment> all_experiments();

}  // namespace grokscope
