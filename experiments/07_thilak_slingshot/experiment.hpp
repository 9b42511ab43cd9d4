// Paper 07: Thilak et al. 2022, the slingshot mechanism: what float32 and Adam do when training is long over.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment thilak_slingshot();

}  // namespace grokscope
