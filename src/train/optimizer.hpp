// How do parameters move?
// A thin owner of torch::optim's update rules, whose whole state can be taken out and put back. The only file that
// includes torch::optim is optimizer.cpp.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/named_array.hpp"
#include "nn/parameters.hpp"
#include "train/options.hpp"

namespace grokscope {

class Optimizer {
 public:
  /// `parameters` must outlive this and keep their tensors. Throws UserError when a declared group holds no parameter.
  Optimizer(const ParameterSet& parameters, const TrainingOptions& options);
  ~Optimizer();
  Optimizer(Optimizer&&) noexcept;

  /// Moves the parameters along `gradients` (of the mean loss, one per parameter). `step` counts from 0 and decides the
  /// warm-up. Local.
  void update(const std::vector<at::Tensor>& gradients, std::int64_t step);

  /// "optimizer/<kind>/<parameter>" arrays; none for plain sgd.
  std::vector<NamedArray> state() const;
  void load(std::span<const NamedArray> arrays);

 private:
  struct Rule;
  const ParameterSet& parameters_;
  TrainingOptions options_;
  std::unique_ptr<Rule> rule_;
};

}  // namespace grokscope
