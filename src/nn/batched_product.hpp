// What are the products of thousands of small matrices?
// Where LibTorch has no MKL, at::matmul calls BLAS once a matrix: for 6 x 32 matrices, as in the attention of short
// sequences, the call costs several times the arithmetic.
#pragma once

#include <ATen/ATen.h>

namespace grokscope {

/// a b for a [n, h, m, k] and b [n, h, k, p] of one type, any strides; may be differentiated any number of times. A loop
/// of its own on the CPU, at::matmul elsewhere. Local.
at::Tensor batched_product(const at::Tensor& a, const at::Tensor& b);

}  // namespace grokscope
