// The oracle: per-example gradients by autograd, one example at a time, sharing nothing with tapes.
#pragma once

#include <torch/csrc/autograd/autograd.h>

#include "nn/loss.hpp"
#include "nn/model.hpp"

namespace grokscope {

/// G, [n, P] float64.
inline at::Tensor explicit_gradients(const Model& model, const Loss& loss, const at::Tensor& inputs,
                                     const at::Tensor& targets) {
  std::vector<at::Tensor> rows;
  for (std::int64_t i = 0; i < inputs.size(0); ++i) {
    auto tape = Tape::inactive();
    const auto outputs = model.forward(inputs.slice(0, i, i + 1), tape);
    const auto value = loss.per_example(outputs, targets.slice(0, i, i + 1)).sum();
    std::vector<at::Tensor> parts;
    for (const auto& g : torch::autograd::grad({value}, model.parameters.tensors())) parts.push_back(g.reshape({-1}));
    rows.push_back(at::cat(parts).to(at::kDouble));
  }
  return at::stack(rows);
}

inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace grokscope
