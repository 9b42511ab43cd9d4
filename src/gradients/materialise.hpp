// What are the gradients themselves? Explicit per-example gradients from taps, for a few examples or parameters at a time.
#pragma once

#include <algorithm>
#include <span>

#include "gradients/gradient_matrix.hpp"

namespace grokscope {

/// How many examples' explicit gradients, `elements` numbers each, are made at a time: 512, or as few as take 268 MB.
inline std::int64_t examples_at_once(std::int64_t elements) {
  return std::clamp<std::int64_t>((std::int64_t{1} << 25) / std::max<std::int64_t>(elements, 1), 1, 512);
}

/// The gradients of `taps` with respect to one parameter, [n, size] float64, column = flat index within the parameter.
at::Tensor materialise(const Tap& tap, std::int64_t n);

/// [n, rows, width] values of a tap to [n, size] in the order of the flat vector: the weight, then its bias.
at::Tensor flatten_parameter(const Tap& tap, const at::Tensor& values);

/// The inverse: [size, k] in the order of the flat vector to [rows, width, k].
at::Tensor unflatten_parameter(const Tap& tap, const at::Tensor& values);

/// The gradients of all examples in `taps` with respect to the flat parameters `columns` (ascending), [n, columns], whose
/// taps are all there. No other element is made. Memory: the result, and once more what the largest parameter has of it.
at::Tensor materialise_columns(const Taps& taps, std::span<const std::int64_t> columns);

}  // namespace grokscope
