// How large is what this configuration asks for?
// Counts of examples, moments, multiplications and bytes, for the plan and for the limits that are enforced before training.
#pragma once

#include "nn/tape.hpp"
#include "run/configuration.hpp"
#include "run/cost_model.hpp"

namespace grokscope {

/// What the ways to store one moment take, whichever of them is chosen.
struct StoredBytes {
  double spectra = 0;       ///< of every tracked moment: eigenvalues and leading vectors
  double full_dense = 0;    ///< in the configured layout and precision, before compression
  double layers_dense = 0;  ///< 0 where the one layer is the whole model: it is a link
  double factors = 0;       ///< full and layers are the same
  double chosen = 0;        ///< what storage.store_full_gop and store_layer_gops ask for, beside spectra
};

/// The taps of a few training examples: they know what a pair costs and what factors take. The task has data and model.
/// Local.
Taps sample_taps(const RunConfiguration& configuration);

StoredBytes stored_bytes(const RunConfiguration& configuration, const Taps& sample);

Workload workload_of(const RunConfiguration& configuration, const Taps& sample);

}  // namespace grokscope
