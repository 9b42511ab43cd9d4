// y = S^T x, one matrix and nothing else (paper 09).
#pragma once

#include "nn/model.hpp"

namespace grokscope {

class LinearModel : public Model {
 public:
  /// `initial` is [d_out, d_in].
  explicit LinearModel(const at::Tensor& initial);
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override;
};

}  // namespace grokscope
