// Paper 04: Wang et al. 2024, a transformer that infers facts from facts.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment wang_implicit();

}  // namespace grokscope
