// Which activations does a training step drop?
// Masks are counter-based in (seed, place in the model, step, example id): they depend neither on the number of ranks nor
// on who else is in the batch. Tracking and evaluation see no noise.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>

namespace grokscope {

class TrainingNoise {
 public:
  /// No noise: dropout() returns what it is given.
  static TrainingNoise none() { return {}; }
  /// The noise of one step for the examples `ids` [n] int64, in the order of the batch.
  TrainingNoise(std::uint64_t seed, std::int64_t step, const at::Tensor& ids)
      : is_active_(true), seed_(seed), step_(step), ids_(ids) {}

  bool is_active() const { return is_active_; }

  /// x [n, ...] with each element zero with probability `rate` in [0, 1) and divided by 1 - rate otherwise. `place` names
  /// the mask: every place of a model needs its own. Cost: one random number an element, made on the CPU. Local.
  at::Tensor dropout(const at::Tensor& x, double rate, const std::string& place) const;

 private:
  TrainingNoise() = default;

  bool is_active_ = false;
  std::uint64_t seed_ = 0;
  std::int64_t step_ = 0;
  at::Tensor ids_;
};

}  // namespace grokscope
