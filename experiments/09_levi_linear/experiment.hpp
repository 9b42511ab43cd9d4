// Paper 09: Levi, Beck and Bar-Sinai 2023, grokking in linear estimators.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment levi_linear();

}  // namespace grokscope
