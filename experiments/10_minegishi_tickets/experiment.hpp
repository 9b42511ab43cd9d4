// Paper 10: Minegishi, Iwasawa and Matsuo 2023, grokking tickets: the dense network that tickets are drawn from.
#pragma once

#include "train/task.hpp"

namespace grokscope {

Experiment minegishi_tickets();

}  // namespace grokscope
