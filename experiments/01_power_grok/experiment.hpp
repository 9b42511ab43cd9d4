// Paper 01: Power et al. 2022, a transformer on tables of binary operations.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment power_grok();

}  // namespace grokscope
