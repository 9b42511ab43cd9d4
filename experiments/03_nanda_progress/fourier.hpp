// Which frequencies does a table over Z_p contain? (Nanda et al. 2023, section 4 and appendix C)
// Tables have the residues in their columns: the embedding W_E [d, p], or the neuron-logit map W_L as
// [neurons, p].
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace grokscope::nanda {

/// Number of frequencies that have a cosine and a sine: 1 .. (p-1)/2.
std::int64_t frequency_count(std::int64_t p);

/// The orthonormal Fourier basis of functions on Z_p as rows [p, p], float64: the constant, then cos(2 pi k x
/// / p) in row 2k-1 and sin in row 2k for k = 1 .. (p-1)/2; for even p the alternating function is the last
/// row.
at::Tensor fourier_basis(std::int64_t p);

/// Norm over rows of every Fourier component of `table` [d, p]; returns [p] in the order of fourier_basis().
at::Tensor component_norms(const at::Tensor& table);

/// Root of the sum of squares of the cosine and the sine norm of each frequency; element k-1 belongs to
/// frequency k.
at::Tensor frequency_norms(const at::Tensor& table);

/// Gini coefficient of non-negative values [n]: 0 when all are equal, (n-1)/n when only one is not 0, NaN
/// when all are.
double gini(const at::Tensor& values);

/// The frequencies that stand out in both tables, ascending: norms above a quarter of the largest and above
/// twice the median. The paper publishes no threshold; a quarter is that of the authors' later demonstration
/// on a finished network, where the median is near 0. The median keeps all frequencies from being key ones
/// before any of them is.
std::vector<std::int64_t> key_frequencies(const at::Tensor& norms, const at::Tensor& other_norms);

}  // namespace grokscope::nanda
