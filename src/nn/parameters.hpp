// Which numbers does a model learn, and where does each stand in the flat vector of all of them?
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/block_cyclic.hpp"

namespace grokscope {

/// One trainable tensor. Its elements occupy offset .. offset + size - 1 of the flat parameter vector, row-major.
struct Parameter {
  std::string name;   ///< dotted: "blocks.0.mlp.W_in"
  std::string layer;  ///< the true layer that it belongs to (weight and bias share one): "blocks.0.mlp.in"
  at::Tensor value;   ///< a leaf that requires a gradient, 1-d or 2-d
  std::int64_t offset = 0;

  std::int64_t size() const { return value.numel(); }
  std::int64_t rows() const { return value.size(0); }
  std::int64_t cols() const { return value.dim() > 1 ? value.size(1) : 1; }
};

/// A true layer: the contiguous range of the flat vector that its parameters occupy.
struct Layer {
  std::string name;
  IndexRange range;
};

class ParameterSet {
 public:
  /// Adds a parameter behind the ones already there; the parameters of one layer must be added in a row. The returned
  /// reference is valid until the next add(): keep the index.
  std::size_t add(std::string name, std::string layer, const at::Tensor& initial);

  const Parameter& operator[](std::size_t index) const { return parameters_[index]; }
  const std::vector<Parameter>& all() const { return parameters_; }
  const std::vector<Layer>& layers() const { return layers_; }
  /// P, the number of trainable numbers.
  std::int64_t total() const { return total_; }
  std::vector<at::Tensor> tensors() const;

  /// Moves every parameter to a device and a type; they stay leaves.
  void convert(at::Device device, at::ScalarType dtype);
  /// Multiplies every parameter by `factor` (enlarged initialisation).
  void scale(double factor);

  /// Copies of all values as one flat vector, in the parameters' type.
  at::Tensor flat() const;
  void set_flat(const at::Tensor& values);

  /// Euclidean norm of all parameters, accumulated in float64.
  double norm() const;

 private:
  std::vector<Parameter> parameters_;
  std::vector<Layer> layers_;
  std::int64_t total_ = 0;
};

/// Independent N(0, std^2) entries (float64) from the counter-based stream "init/<name>".
at::Tensor normal_init(std::vector<std::int64_t> shape, double std, std::uint64_t seed, const std::string& name);

/// Independent U(-bound, bound) entries (float64) from the counter-based stream "init/<name>".
at::Tensor uniform_init(std::vector<std::int64_t> shape, double bound, std::uint64_t seed, const std::string& name);

}  // namespace grokscope
