// Paper 08: Doshi et al. 2024, modular arithmetic by a network with power activations.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment doshi_polynomials();

}  // namespace grokscope
