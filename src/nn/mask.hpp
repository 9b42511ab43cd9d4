// Which weights are the large ones, and how far apart are two such choices?
// A mask over the flat parameter vector, [P] bool: true where a weight is kept (Minegishi et al. 2023, section 3).
#pragma once

#include <ATen/ATen.h>

namespace grokscope {

/// Global magnitude pruning: drops the int((1 - keep) P) weights of smallest magnitude, and those that tie with the largest
/// of them; `keep` in 0..1. `weights` [P], returns [P]. Local, O(P).
at::Tensor magnitude_mask(const at::Tensor& weights, double keep);

/// Jaccard distance 1 - |a and b| / |a or b| of two masks of one length; 0 for two empty masks. Local.
double mask_distance(const at::Tensor& a, const at::Tensor& b);

}  // namespace grokscope
