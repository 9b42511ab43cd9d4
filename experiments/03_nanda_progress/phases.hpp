// When does memorisation end, when has the circuit formed, when is the clean-up over? (Nanda et al. 2023,
// section 5.1) The paper reads the three phases off its curves and gives no rule. These are ours, after its
// words: memorisation lasts while the excluded loss falls, the circuit forms until it alone solves the task, while the test
// loss stays high, and the clean-up of the rest brings that down.
#pragma once

#include "train/task.hpp"

namespace grokscope::nanda {

/// Steps at which the phases end; NaN where the run did not get there.
struct Phases {
  double memorisation = kMissing;       ///< observation with the lowest excluded loss
  double circuit_formation = kMissing;  ///< first observation with a restricted loss of at most 0.1
  double clean_up = kMissing;           ///< first evaluation behind the largest test loss with at most 1/100 of it
};

Phases find_phases(const History& history);

}  // namespace grokscope::nanda
