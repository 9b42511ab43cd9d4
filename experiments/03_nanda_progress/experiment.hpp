// Paper 03: Nanda et al. 2023, a one-layer transformer learns addition modulo 113.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment nanda_progress();

}  // namespace grokscope
