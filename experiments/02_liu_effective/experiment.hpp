// Paper 02: Liu et al. 2022, an effective theory of representation learning: addition with one-dimensional embeddings.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment liu_effective();

}  // namespace grokscope
