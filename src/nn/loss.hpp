// What is the loss of each example, and which examples are answered correctly?
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <optional>
#include <string>

namespace grokscope {

/// The unreduced loss: means over outputs and supervised tokens are inside loss_i; the training loss is exactly the mean
/// of loss_i over examples.
class Loss {
 public:
  virtual ~Loss() = default;
  /// [n], in the type that the loss is computed in.
  virtual at::Tensor per_example(const at::Tensor& outputs, const at::Tensor& targets) const = 0;
  /// [n] bool.
  virtual at::Tensor correct(const at::Tensor& outputs, const at::Tensor& targets) const = 0;
  /// One line for the attributes of every file: the formula with its reductions.
  virtual std::string definition() const = 0;
};

/// -log softmax(z)_y, computed as log(1 + sum_{c != y} exp(z_c - z_y)): neither the value nor the gradient at y cancels,
/// so late training keeps its digits (in float32 softmax gives p_y - 1 = 0 where the truth is -6e-9).
/// targets [n] int64; `dtype` is what outputs are converted to.
std::unique_ptr<Loss> cross_entropy(at::ScalarType dtype);

/// The same for sequences: outputs [n, T, C], targets [n, T]; loss_i is the mean over the supervised tokens of example i,
/// those whose target is not negative (0 if there are none), and a row is correct when all of them are right.
std::unique_ptr<Loss> token_cross_entropy(at::ScalarType dtype);

/// -log softmax(z)_y by one log_softmax in `dtype`, as most programs compute it. The gradient p_y - 1 at the right class
/// rounds to exactly 0 beyond a margin of some 16 in float32 while those of the wrong classes remain: paper 07 studies
/// what follows. targets [n] int64.
std::unique_ptr<Loss> plain_cross_entropy(at::ScalarType dtype);

/// mean over classes of (z_c - [c = y])^2; targets [n] int64.
std::unique_ptr<Loss> one_hot_mse(at::ScalarType dtype);

/// mean over outputs of (z - y)^2; an example is correct when that mean is below `tolerance`. targets [n, d_out]; `dtype`: none is
/// that of the outputs.
std::unique_ptr<Loss> regression_mse(double tolerance, std::optional<at::ScalarType> dtype = std::nullopt);

/// mean over outputs of (z - Y_y)^2 for templates Y [classes, d_out], in `dtype`; an example is correct when no template
/// is nearer than its own. targets [n] int64.
std::unique_ptr<Loss> template_mse(const at::Tensor& templates, at::ScalarType dtype);

}  // namespace grokscope
