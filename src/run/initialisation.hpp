// Which parameters does a run start from? (`training.init_from`)
// Reads them, and the magnitudes that a mask is made of, from the checkpoints of another run. What it decides
// goes into data.h5, so that a resumed run, or an outsider, never needs the other run again.
#pragma once

#include <vector>

#include "run/configuration.hpp"

namespace grokscope {

/// Reads the start of a run whose model is built and converted: start/parameters/<name>, with a mask
/// start/mask/<name> (uint8, 1 where an entry learns), with match_norm start/matched_mask/<name> (the mask
/// that gave the norm). Throws UserError when the other run is not there, has no such checkpoint, or another
/// model. Local.
std::vector<NamedArray> read_start(const RunConfiguration& configuration);

/// Sets the parameters to such a start. Local.
void apply_start(std::span<const NamedArray> start, const ParameterSet& parameters);

/// The mask of such a start, one tensor per parameter; empty when it has none. Local.
std::vector<at::Tensor> mask_of(std::span<const NamedArray> start, const ParameterSet& parameters);

}  // namespace grokscope
