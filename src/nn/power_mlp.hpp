// f(n_1..n_S) = W (U_1 e_{n_1} + ... + U_S e_{n_S})^S, the power taken element by element (paper 08, Doshi et al.).
#pragma once

#include "nn/model.hpp"

namespace grokscope {

struct PowerMlpShape {
  std::int64_t p = 97;        ///< vocabulary of every input, and number of classes
  std::int64_t width = 500;   ///< N, hidden units
  std::int64_t terms = 2;     ///< S: number of inputs and the power
  double init_std = 0.05;     ///< of every entry; the paper's (16 N)^(-1/3) is .05 at N = 500
};

/// No bias, no prefactor. Parameters: U_1 .. U_S [p, N] (row n is U_s e_n) and W [p, N]. Inputs [n, S] int64 residues.
class PowerMlp : public Model {
 public:
  PowerMlp(const PowerMlpShape& shape, std::uint64_t seed);
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override;

 private:
  PowerMlpShape shape_;
};

}  // namespace grokscope
