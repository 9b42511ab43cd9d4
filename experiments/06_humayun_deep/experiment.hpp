// Paper 06: Humayun, Balestriero and Baraniuk 2024, deep networks always grok: robustness comes late.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment humayun_deep();

}  // namespace grokscope
