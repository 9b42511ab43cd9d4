// An eleventh experiment: the parity of a few of many bits, learned by a network with one hidden layer.
#pragma once

#include "train/task.hpp"

namespace eleventh {

grokscope::Experiment parity();

}  // namespace eleventh
