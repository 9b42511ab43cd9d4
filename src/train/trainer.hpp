// The training loop's state and its three moves: look (backward), judge (evaluate), step (update).
// Data-parallel: each rank takes its share of every batch; gradients are summed over ranks in rank order, in float64, so
// that a run repeats bit by bit. The session decides what happens between the moves.
#pragma once

#include "base/timer.hpp"
#include "comm/communicator.hpp"
#include "comm/stop.hpp"
#include "train/optimizer.hpp"
#include "train/task.hpp"

namespace grokscope {

/// What a backward pass over the present batch gave, agreed over ranks.
struct StepPass {
  double loss = 0;      ///< mean over the batch
  bool stop = false;    ///< some rank wants to stop
  at::Tensor outputs;   ///< of the model for this rank's share of the batch; right or wrong is counted where somebody asks
  Taps taps;            ///< of this rank's share, when taping was wanted
  double gradient_square = 0;  ///< |sum_i g_i|^2 over the batch
  bool is_finite = true;       ///< loss and gradient
};

class Trainer {
 public:
  /// Everything must outlive this. The task has been built and converted. Collective.
  Trainer(const Communicator& comm, Task& task, const TrainingOptions& options, TimerTree& timers);

  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  std::int64_t total_steps() const { return total_steps_; }
  bool is_full_batch() const { return batch_ == examples_; }
  Moment now() const;

  /// Gradient of the mean loss at the present parameters over the present batch. `stop` rides along. Collective.
  StepPass backward(Taping taping, const StopFlag& stop);

  /// Losses and accuracies over both splits. `pass` is that of this moment: with full batches it holds the training half.
  /// Collective.
  Evaluation evaluate(const StepPass& pass) const;

  /// Takes the optimizer step that backward() prepared. Collective.
  void update();

  /// From now on entries where the mask (one tensor per parameter) is 0 give the optimizer no gradient: an entry that
  /// starts at zero stays exactly zero, with its moments and under any decay. Taps and the GOP see all entries. Local.
  void set_mask(std::vector<at::Tensor> mask);

  /// The share of a split that this rank evaluates and tracks.
  Dataset my_share(const Dataset& split) const;

  /// Parameters, optimizer and position: enough to go on bit by bit.
  std::vector<NamedArray> state() const;
  void load(std::span<const NamedArray> arrays);

  /// Hash of all parameters; throws InternalError when ranks disagree. Collective.
  std::uint64_t agreed_parameter_hash() const;

 private:
  Dataset present_batch() const;
  /// Share of the training split that a pass over all of it answers correctly. Collective.
  double accuracy(const StepPass& full_batch) const;
  std::pair<double, double> score(const Dataset& split) const;
  /// Keeps the gradient of the mean, from this rank's sums and the number of all examples; whether it is finite. Collective.
  bool take_gradients(const std::vector<at::Tensor>& sums, double count);
  void constrain_norm();

  const Communicator& comm_;
  Task& task_;
  TrainingOptions options_;
  TimerTree& timers_;
  Optimizer optimizer_;
  std::int64_t examples_;
  std::int64_t batch_;
  std::int64_t steps_per_epoch_;
  std::int64_t total_steps_;
  std::int64_t step_ = 0;
  mutable std::int64_t order_epoch_ = -1;
  mutable at::Tensor order_;  ///< of the present epoch's examples, for minibatches
  at::Tensor flat_;                    ///< the gradient of the mean loss, one parameter behind the other
  std::vector<at::Tensor> gradients_;  ///< its parts, in the shapes of the parameters
  std::vector<at::Tensor> mask_;  ///< empty: every entry learns
  double initial_norm_;  ///< of all parameters; constrain_norm keeps it
};

}  // namespace grokscope
