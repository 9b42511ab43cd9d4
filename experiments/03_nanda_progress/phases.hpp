// When does memorisation end, when has the circuit formed, when is the clean-up over? (Nanda et al. 2023,
// section 5.1) The paper reads the three phases off its curves and gives no rule. These are ours, in its
// words: memorisation lasts while the excluded loss falls, the circuit forms while the test loss stays high,
// and the clean-up brings it down.
#pragma once

#include "train/task.hpp"

namespace grokscope::nanda {

/// Steps at which the phases end; NaN where the run did not get there.
struct Phases {
  double memorisation = kMissing;  ///< observation with the lowest excluded loss
  double circuit_formation =
      kMissing;  ///< last evaluation with a test loss of at least half its largest, once it fell
  double clean_up = kMissing;  ///< first evaluation after it with a test loss of at most 1/100 of its largest
};

Phases find_phases(const History& history);

}  // namespace grokscope::nanda
