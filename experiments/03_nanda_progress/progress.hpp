// How much of a network's answer is the circuit that generalises? (Nanda et al. 2023, section 5)
// The circuit answers a + b with functions cos(w_k (a+b)) and sin(w_k (a+b)) of a few key frequencies k. The
// logits over all p^2 pairs are projected on these: kept alone (restricted loss) or taken away (excluded
// loss). Because the projections are functions of s = a + b mod p, they need no more than the p x p sums of
// the logits over the pairs with equal s.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "nn/model.hpp"
#include "train/task.hpp"

namespace grokscope::nanda {

/// Some pairs (a, b) of the full table and what the network says of them.
struct PairLogits {
  at::Tensor logits;    ///< [n, p] float64, without the logit of "="
  at::Tensor sums;      ///< [n] int64: a + b mod p, which is the right answer
  at::Tensor is_train;  ///< [n] bool
};

/// The logits of the residues, [n, p] float64 on the CPU, without gradients.
at::Tensor residue_logits(const Model& model, const at::Tensor& inputs, std::int64_t p);

struct Progress {
  double full_loss = 0;  ///< cross-entropy over all pairs
  double restricted_loss =
      0;  ///< over all pairs, of the projections on the key frequencies plus the mean logits
  double excluded_loss =
      0;  ///< over the training pairs, of the logits less these projections (no mean added)
  std::vector<double> excluded_by_frequency;  ///< [(p-1)/2] the same with frequency k alone taken away
  std::vector<double> power_by_frequency;     ///< [(p-1)/2] share of the variance in cos and sin of w_k (a+b)
  double key_share = 0;  ///< share of the logits' variance in the projections on the key frequencies
  double cosine_share =
      0;  ///< share explained by sum_k alpha_k cos(w_k (a+b-c)), c the output, over the key frequencies
};

/// Measures from each process's part of the table; together the parts must hold every pair once. Variance: of
/// each output's logit around its mean over all pairs, summed over outputs. Collective.
Progress measure_progress(const PairLogits& mine, const std::vector<std::int64_t>& keys,
                          const Spread& spread);

}  // namespace grokscope::nanda
