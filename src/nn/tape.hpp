// What flows through each layer, example by example?
// The gradient of example i with respect to a parameter is a short sum of outer products of two factors, one from the
// forward pass and one from the backward pass. A forward pass with an active Tape says which tensors' gradients it needs
// and how to make the factors from them; one backward pass of the unreduced summed loss then fills in everything.
// No hooks: the observed tensors are inputs of the same autograd::grad call that yields the training gradient, so the tape
// cannot change what is computed, and nothing outlives it.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nn/parameters.hpp"

namespace grokscope {

/// One side of the outer products, for n examples, g groups, T tokens and width d.
struct Factor {
  enum class Kind {
    dense,     ///< values [n, g, T, d]
    constant,  ///< the same for every example: values [g, T, d]
    one_hot,   ///< index [n, T], or [1, T] with `shared_index`: unit vectors of length d (g = 1)
    one,       ///< the number 1 (d = 1): the input of a bias that stands alone
  };
  Kind kind = Kind::one;
  at::Tensor values;
  at::Tensor index;
  std::int64_t dim = 1;
  bool shared_index = false;  ///< every example has the same tokens; a flag, for a rank may hold just one example

  static Factor dense(const at::Tensor& values, std::int64_t groups = 1, std::int64_t tokens = 1);
  static Factor constant(const at::Tensor& values, std::int64_t groups = 1, std::int64_t tokens = 1);
  static Factor one_hot(const at::Tensor& index, std::int64_t dim);
  /// The same tokens for every example; `index` is [1, T].
  static Factor shared_one_hot(const at::Tensor& index, std::int64_t dim);
  static Factor one() { return {}; }

  /// The tensor that has a row per example, or an undefined one when every example shares the factor.
  at::Tensor per_example() const;
};

/// One use of a parameter W by the model. Group g owns the rows g d_out .. (g+1) d_out - 1 of W, and there the gradient
/// of example i is sum_t out[i,g,t] in[i,g,t]^T, with out of width d_out (rows) and in of width d_in (columns).
struct Use {
  Factor out;
  Factor in;
  std::int64_t groups = 1;
  std::int64_t tokens = 1;
};

/// Everything that is needed of one parameter: a tied weight has several uses, and their cross terms count. A weight and
/// the bias that follows it in the flat vector share one tap, whose inner factor ends in a 1: the bias is one more column,
/// and its part of any Gram matrix costs one multiplication.
struct Tap {
  std::string parameter;
  std::string layer;
  std::int64_t offset = 0;
  std::int64_t rows = 0;
  std::int64_t cols = 1;
  bool has_bias = false;
  std::vector<Use> uses;
  bool has_kernel = true;  ///< false: the gradients were made one example at a time (explicit_tap.hpp)

  std::int64_t width() const { return cols + (has_bias ? 1 : 0); }
  std::int64_t size() const { return rows * width(); }
};

/// The per-example gradients of n examples in factored form: the matrix G, n x P, never formed.
struct Taps {
  std::int64_t n = 0;
  std::vector<Tap> taps;  ///< in the order of the flat parameter vector

  std::int64_t parameter_count() const { return taps.empty() ? 0 : taps.back().offset + taps.back().size(); }
  /// Bytes held by the factors.
  std::int64_t bytes() const;
};

class Tape {
 public:
  /// An inactive tape records nothing and costs nothing.
  static Tape inactive() { return Tape(false); }
  static Tape active() { return Tape(true); }

  bool is_active() const { return active_; }

  /// Gradients of the observed tensors, as observe() numbered them.
  using Gradients = std::vector<at::Tensor>;

  /// Asks for the gradient of `tensor` (which must not be modified in place later); returns its number.
  std::size_t observe(const at::Tensor& tensor);

  /// Declares a use of a parameter; `make` is called after the backward pass. Values that it captures must be detached.
  void record(const Parameter& parameter, std::function<Use(const Gradients&)> make) {
    record(parameter, nullptr, std::move(make));
  }

  /// The same for a weight and the bias that follows it (null: none). The inner factor then has one column more, by which
  /// the outer one is multiplied to give the gradient of the bias.
  void record(const Parameter& weight, const Parameter* bias, std::function<Use(const Gradients&)> make);

  /// Declares y = x W^T (+ b) with x [n, d_in] or [n, T, d_in]. `bias` may be null; it must follow the weight.
  void record_linear(const Parameter& weight, const Parameter* bias, const at::Tensor& x, const at::Tensor& y);

  const std::vector<at::Tensor>& observed() const { return observed_; }

  /// Makes the taps of `n` examples from the gradients of observed().
  Taps build(std::int64_t n, const Gradients& gradients) const;

 private:
  explicit Tape(bool active) : active_(active) {}

  struct Entry {
    const Parameter* parameter;
    bool has_bias;
    std::function<Use(const Gradients&)> make;
  };
  bool active_;
  std::vector<at::Tensor> observed_;
  std::vector<Entry> entries_;
};

}  // namespace grokscope
