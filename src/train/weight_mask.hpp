// Which entries of the parameters may learn, and which stay zero?
// Magnitude pruning and its controls (Minegishi et al. 2023, arXiv 2310.19470; Frankle and Carbin 2019, arXiv
// 1803.03635). Knows no files: the magnitudes are handed in.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/named_array.hpp"
#include "nn/parameters.hpp"
#include "train/start_options.hpp"

namespace grokscope {

/// One tensor per parameter (uint8, on the CPU, shaped like it): 1 where the entry is kept. `magnitudes`
/// holds the arrays "parameters/<name>" whose sizes decide; of equal ones the earlier is dropped first.
/// `seed` draws random masks. Throws UserError for names that no parameter has. Local.
std::vector<at::Tensor> make_mask(const MaskOptions& options, const ParameterSet& parameters,
                                  std::span<const NamedArray> magnitudes, std::uint64_t seed);

/// Sets the entries that the mask drops to zero. Local.
void apply_mask(std::span<const at::Tensor> mask, const ParameterSet& parameters);

/// Multiplies the chosen parameters by |masked parameters| / |parameters| instead: one factor for all of
/// them, or (scope parameter) one for each. The norm is options.match_norm, accumulated in float64. Local.
void match_norm(const MaskOptions& options, std::span<const at::Tensor> mask, const ParameterSet& parameters);

}  // namespace grokscope
