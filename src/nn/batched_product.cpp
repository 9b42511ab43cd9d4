#include "nn/batched_product.hpp"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"

namespace grokscope {
namespace {

/// One matrix with its strides.
template <class T>
struct Matrix {
  T* data;
  std::int64_t row, column;
};

template <class T>
T dot(const T* a, const T* b, std::int64_t n) {
  // Several partial sums: the compiler may then use vector registers without reordering a sum behind our back.
  constexpr std::int64_t kLanes = 16;
  std::array<T, kLanes> sums{};
  std::int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    for (std::int64_t l = 0; l < kLanes; ++l) sums[static_cast<std::size_t>(l)] += a[k + l] * b[k + l];
  }
  T total = 0;
  for (; k < n; ++k) total += a[k] * b[k];
  for (const T s : sums) total += s;
  return total;
}

/// c = a b with the rows of b contiguous.
template <class T>
void multiply_rows(Matrix<const T> a, Matrix<const T> b, Matrix<T> c, std::int64_t m, std::int64_t k, std::int64_t p) {
  for (std::int64_t i = 0; i < m; ++i) {
    T* out = c.data + i * c.row;
    std::fill(out, out + p, T(0));
    for (std::int64_t l = 0; l < k; ++l) {
      const T weight = a.data[i * a.row + l * a.column];
      const T* row = b.data + l * b.row;
      for (std::int64_t j = 0; j < p; ++j) out[j] += weight * row[j];
    }
  }
}

/// c = a b with the rows of a and the columns of b contiguous.
template <class T>
void multiply_dots(Matrix<const T> a, Matrix<const T> b, Matrix<T> c, std::int64_t m, std::int64_t k, std::int64_t p) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < p; ++j) c.data[i * c.row + j] = dot(a.data + i * a.row, b.data + j * b.column, k);
  }
}

bool has_contiguous_rows(const at::Tensor& t) { return t.stride(3) == 1 || t.size(3) == 1; }

template <class T>
void multiply_all(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
  const bool by_rows = has_contiguous_rows(b);
  const auto matrix = [](const at::Tensor& t, std::int64_t i, std::int64_t h) {
    return Matrix<T>{t.data_ptr<T>() + i * t.stride(0) + h * t.stride(1), t.stride(2), t.stride(3)};
  };
  const auto constant = [&](const at::Tensor& t, std::int64_t i, std::int64_t h) {
    const auto m = matrix(t, i, h);
    return Matrix<const T>{m.data, m.row, m.column};
  };
  for (std::int64_t i = 0; i < a.size(0); ++i) {
    for (std::int64_t h = 0; h < a.size(1); ++h) {
      (by_rows ? multiply_rows<T> : multiply_dots<T>)(constant(a, i, h), constant(b, i, h), matrix(c, i, h), a.size(2),
                                                      a.size(3), b.size(3));
    }
  }
}

at::Tensor product_of(const at::Tensor& a, at::Tensor b) {
  if (!a.device().is_cpu()) return at::matmul(a, b);
  const bool by_dots = has_contiguous_rows(a) && has_contiguous_rows(b.transpose(2, 3));
  if (!has_contiguous_rows(b) && !by_dots) b = b.contiguous();
  // Token-major like b, so that joining the heads again copies nothing.
  const bool token_major = b.stride(1) < b.stride(2);
  const auto n = a.size(0), h = a.size(1), m = a.size(2), p = b.size(3);
  const auto c = token_major ? at::empty({n, m, h, p}, a.options()).transpose(1, 2) : at::empty({n, h, m, p}, a.options());
  if (a.scalar_type() == at::kFloat) {
    multiply_all<float>(a, b, c);
  } else {
    require(a.scalar_type() == at::kDouble, "batched products are of float32 or float64");
    multiply_all<double>(a, b, c);
  }
  return c;
}

struct Product : torch::autograd::Function<Product> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& a, const at::Tensor& b) {
    context->save_for_backward({a, b});
    return product_of(a, b);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    return {batched_product(gradients[0], saved[1].transpose(2, 3)), batched_product(saved[0].transpose(2, 3), gradients[0])};
  }
};

}  // namespace

at::Tensor batched_product(const at::Tensor& a, const at::Tensor& b) {
  require(a.dim() == 4 && b.dim() == 4 && a.size(0) == b.size(0) && a.size(1) == b.size(1) && a.size(3) == b.size(2) &&
              a.scalar_type() == b.scalar_type(), "factors of a batched product do not fit");
  return Product::apply(a, b);
}

}  // namespace grokscope
