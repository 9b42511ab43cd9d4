// How well do the embeddings stand in line, and what must a training set teach? (Liu et al. 2022, sections 3.1 and 3.2)
// An equation i + j = m + n between two different pairs is a parallelogram of the embeddings when E_i + E_j = E_m + E_n.
// It is written as the row e_i + e_j - e_m - e_n, [p]. Everything here is computed in float64 on the CPU.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace grokscope::liu {

/// All pairs i <= j of 0..p-1, lexicographic, [p (p + 1) / 2, 2] int64.
at::Tensor unordered_pairs(std::int64_t p);

/// The rows of all equations between two different pairs of `pairs` [n, 2] with equal sums, [count, p]: P_0(D) of the
/// paper, 70 rows for all pairs of p = 10.
at::Tensor equations(const at::Tensor& pairs, std::int64_t p);

/// Embeddings [p, d] shifted to mean 0 and scaled to standard deviation 1 (with p - 1), dimension by dimension.
at::Tensor standardised(const at::Tensor& embeddings);

/// Which of these equations the standardised embeddings fulfil: |E_i + E_j - E_m - E_n|^2 < .01, the mean over
/// dimensions. [count] bool.
at::Tensor fulfilled(const at::Tensor& rows, const at::Tensor& embeddings);

/// RQI (Eq. 3): the share of all equations (`all_rows`, of all pairs) that are fulfilled, 0..1; 1 for embeddings in line at
/// equal distances.
double representation_quality(const at::Tensor& all_rows, const at::Tensor& embeddings);

/// l_eff (Eq. 5): mean over the equations of |E_i + E_j - E_m - E_n|^2, over sum_k |E_k|^2. Differentiable; a scalar. Its
/// gradient flow conserves sum_k |E_k|^2, and sum_k E_k where that is 0 (Eq. 6).
at::Tensor effective_loss(const at::Tensor& rows, const at::Tensor& embeddings);

/// Eigenvalues, ascending, of H = (1/Z_0) d^2 l_0 / dE dE (Eq. 8) for standardised embeddings of one dimension, Z_0 = p - 1:
/// the first two vanish (shift and scale), the third is the rate lambda_3 at which the slowest component dies out.
std::vector<double> effective_rates(const at::Tensor& rows);

/// The share of all pairs (training and test) that can be answered: training pairs, and test pairs that one of the
/// equations `rows_known` links to a training pair of the same sum (Appendix D). Pairs are [n, 2].
double deducible_share(const at::Tensor& train, const at::Tensor& test, const at::Tensor& rows_known);

/// The rows of all equations of 0..p-1 that follow from `rows` as linear equations: P(D) of the paper.
at::Tensor implied(const at::Tensor& rows, std::int64_t p);

}  // namespace grokscope::liu
