// Paper 05: Liu, Michaud and Tegmark 2022, grokking beyond algorithmic data: MNIST from an enlarged
// initialisation.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment liu_omnigrok();

}  // namespace grokscope
