// G^T G, P x P or a block of it, from explicit per-example gradients made a chunk at a time.
#pragma once

#include "gradients/gram.hpp"

namespace grokscope {

/// The gradients of `taps` with respect to one parameter, [n, size] float64, column = flat index within the parameter.
at::Tensor materialise(const Tap& tap, std::int64_t n);

/// [n, rows, width] values of a tap to [n, size] in the order of the flat vector: the weight, then its bias.
at::Tensor flatten_parameter(const Tap& tap, const at::Tensor& values);

/// The gradients of all examples in `taps` with respect to the flat parameters `columns` (ascending), [n, columns].
at::Tensor materialise_columns(const Taps& taps, std::span<const std::int64_t> columns);

/// Adds the sum over examples of g_i g_i^T, restricted to the flat parameters `parameters`, to `target` (row and column 0
/// are parameters.begin). Part::lower leaves what is wholly above the diagonal untouched. Example chunks go to all ranks,
/// each materialises its rows and columns only. Memory per rank: chunk x (local rows + local columns). Collective.
void add_panel(const GradientMatrix& g, IndexRange parameters, Part part, const BlockCyclicTarget& target,
               const std::function<void()>& poll);

}  // namespace grokscope
