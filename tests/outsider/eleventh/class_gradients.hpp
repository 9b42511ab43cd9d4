// A probe: how large is the mean gradient of each class? (/probes/class_gradients/norm)
#pragma once

#include "probes/probe.hpp"

namespace eleventh {

grokscope::ProbeKind class_gradients();

}  // namespace eleventh
