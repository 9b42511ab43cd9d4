// Two tokens through four matrices and one ReLU (paper 10, Minegishi et al. 2023, "OnlyMLP"):
//   logits = W_U^T W_out relu(W_in (W_E e_a + W_E e_b)), no biases.
// Nothing but W_in W_E [d_mlp, p] and W_U^T W_out [p, d_mlp] touches an example: both products are formed once a pass
// (folded), which is exact and some ten times cheaper than carrying every example through d_model dimensions. The gradients
// of all four matrices flow through the products; per example they are one outer product each:
//   dW_E = (W_in^T dz) (e_a + e_b)^T, dW_in = dz (W_E e_a + W_E e_b)^T,  dz: gradient before the ReLU
//   dW_out = (W_U dl) h^T, dW_U = (W_out h) dl^T,                        dl: gradient of the logits, h: after the ReLU
#pragma once

#include "nn/model.hpp"

namespace grokscope {

struct FoldedMlpShape {
  std::int64_t p = 67;         ///< vocabulary and number of classes
  std::int64_t d_model = 500;
  std::int64_t d_mlp = 48;
};

/// Parameters as in the paper's code: W_E [d_model, p], W_in [d_mlp, d_model], W_out [d_model, d_mlp], W_U [d_model, p];
/// N(0, 1/p), N(0, 1/d_model), N(0, 1/d_mlp), N(0, 1/d_model). Inputs [n, 2] int64 residues, outputs [n, p] logits.
class FoldedMlp : public Model {
 public:
  FoldedMlp(const FoldedMlpShape& shape, std::uint64_t seed);
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override;

 private:
  FoldedMlpShape shape_;
};

}  // namespace grokscope
