// Which weights solve the task without any training? (Doshi et al. 2024, section 3)
// Every hidden unit k has one frequency sigma(k) and a random phase for each input; with indices i over Z_m,
//   U_s[i, k] = A cos(2 pi sigma(k) i / m + psi_s(k)),   W[q, k] = A cos(-2 pi sigma(k) q / m - sum_s
//   psi_s(k)).
// In the S-th power of the sum only S! prod_s cos(..) keeps its phase against W: S! A^(S+1) 2^-S a unit at
// the right q, and A = (2^S / (N S!))^(1/(S+1)) makes the mean right output 1. (One printed version has
// -1/(S+1).)
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace grokscope::doshi {

struct AnalyticWeights {
  std::vector<at::Tensor> inputs;  ///< U_1 .. U_S, [p, width] each
  at::Tensor output;               ///< W [p, width]
};

/// A of the formula above.
double analytic_amplitude(std::int64_t width, std::int64_t terms);

/// For sums modulo p: m = p, i the residue. Frequencies uniform on 1 .. (m-1)/2, phases on [0, 2 pi),
/// float64.
AnalyticWeights analytic_sum(std::int64_t p, std::int64_t width, std::int64_t terms, std::uint64_t seed);

/// For products of two modulo the prime p: m = p - 1, i the discrete logarithm of the residue; the rows of 0,
/// which has none, are 0.
AnalyticWeights analytic_product(std::int64_t p, std::int64_t width, std::uint64_t seed);

}  // namespace grokscope::doshi
