// How periodic is a weight vector over Z_p?
#pragma once

#include <ATen/ATen.h>

namespace grokscope::doshi {

/// Inverse participation ratio (|F u|_4 / |F u|_2)^4 of every column u of `table` [p, N], F the real Fourier
/// transform's magnitudes with the constant included: 1 for a pure cosine, about .04 for random weights at p
/// = 97. Returns [N].
at::Tensor inverse_participation_ratio(const at::Tensor& table);

/// The residues g^0, g^1, ... g^(p-2) of the smallest primitive root g of the prime p, [p-1] int64.
at::Tensor powers_of_primitive_root(std::int64_t p);

/// Rows 1..p-1 in the order g^0, g^1, ... of the primitive root g: multiplication modulo p becomes addition
/// modulo p - 1.
at::Tensor in_order_of_logarithm(const at::Tensor& table, std::int64_t p);

}  // namespace grokscope::doshi
