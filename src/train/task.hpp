// What must a paper say to be replicated?
// An experiment implements Task: its data, model, loss and observables, in machine-learning words. It never sees ranks,
// files or solvers; what it needs of its peers it asks of a Spread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/record.hpp"
#include "base/schema.hpp"
#include "comm/communicator.hpp"
#include "data/dataset.hpp"
#include "nn/loss.hpp"
#include "nn/model.hpp"
#include "nn/pass.hpp"
#include "train/moment.hpp"
#include "train/options.hpp"
#include "train/schedule.hpp"

namespace grokscope {

/// Spreads work over examples: take my share, compute, sum.
class Spread {
 public:
  explicit Spread(const Communicator& comm) : comm_(&comm) {}
  /// The part of 0..n-1 that is this process's.
  IndexRange share(std::int64_t n) const { return even_share(n, comm_->size(), comm_->rank()); }
  /// Replaces values by their sums over all processes. Every process must call it.
  void sum(std::span<double> values) const { comm_->sum_in_rank_order(values); }

 private:
  const Communicator* comm_;
};

/// What stands in `list`, READMEs and the citations at the end of a run.
struct TaskInfo {
  std::string name;      ///< "09_levi_linear"
  std::string title;     ///< one line
  std::string citation;  ///< authors, year, title, arXiv number
  std::string claim;     ///< what the paper showed and this replication must show
};

/// A named number, or list of numbers, that a run arrives at; stored under /results.
struct Result {
  std::string name;
  std::vector<double> values;
  Description description{};
  std::string over{};  ///< the result whose values the list runs along, "" for its index: they are drawn against it, in one panel
};

/// The series of one run that results may be computed from.
struct History {
  std::vector<std::int64_t> step;
  std::vector<Evaluation> evaluations;
  /// The scalars of observe(), by their name behind "observables/"; every series is as long as `step`, and NaN where there
  /// was no observation or none of this number.
  std::map<std::string, std::vector<double>> observables;

  void add(std::int64_t at_step, const Evaluation& evaluation);
  /// Of the moment last added.
  void add(const Record& observation);
};

class Task {
 public:
  virtual ~Task() = default;

  virtual TaskInfo info() const = 0;

  /// Declares the keys of `data` and `model`.
  virtual void declare(Schemas& schemas) = 0;
  /// Reports values that do not fit together.
  virtual void check(const TrainingOptions&, Problems&) const {}

  /// Makes the splits (CPU; floating values in float64). Deterministic in the options and the seed.
  virtual void build_data(const TrainingOptions& training) = 0;
  /// Makes model and loss (CPU, float64). Needs no data.
  virtual void build_model(const TrainingOptions& training) = 0;
  /// Follows build_model(), the conversion to the run's types and training.init_from: the parameters are those that training
  /// starts from. What a task says of the start (a distance from it, its norm) it reads here.
  virtual void note_start() {}
  /// Takes the splits back from the arrays of a data.h5, and whatever extra_data() put there.
  virtual void restore_data(std::span<const NamedArray> arrays);

  const DataSplits& data() const { return data_; }
  Model& model() { return *model_; }
  const Model& model() const { return *model_; }
  const Loss& loss() const { return *loss_; }

  /// What data.h5 must hold beside the splits, so that an outsider can recompute everything.
  virtual std::vector<NamedArray> extra_data() const { return {}; }

  /// True when the forward pass draws random numbers while training: then tracking needs a pass of its own.
  virtual bool is_stochastic() const { return model_->is_stochastic(); }

  /// Loss and accuracy on the test split where that is not a sum over examples (an exact expectation, say).
  virtual std::optional<std::pair<double, double>> exact_test_score() const { return std::nullopt; }

  /// The paper's own quantities at this moment. Every process calls it.
  virtual void observe(const Moment&, const Spread&, Record&) const {}

  /// Called before every optimizer step, so that observe() can compare the two sides of a step. What it keeps belongs to
  /// state() as well.
  virtual void before_update(const Moment&) {}

  /// Follows every observe(): keeps what observations of later moments are compared with.
  virtual void remember(const Moment&) {}
  /// What was kept, under any names: checkpoints hold it, so that a resumed run observes the same.
  virtual std::vector<NamedArray> state() const { return {}; }
  virtual void load(std::span<const NamedArray>) {}

  /// When observe() is called, and once more at the end; none: at every evaluation. These moments are evaluated too.
  const std::optional<ScheduleOptions>& observation_schedule() const { return observation_schedule_; }

  /// The paper's own numbers for a whole run. Called on one process.
  virtual std::vector<Result> results(const TrainingOptions&, const History&) const { return {}; }

  /// Converts data and model to the device and type of the run.
  void convert(at::Device device, at::ScalarType dtype);

 protected:
  /// Declares observables.schedule; for tasks whose observables cost more than an evaluation.
  void declare_observation_schedule(Schemas& schemas);

  DataSplits data_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Loss> loss_;

 private:
  std::optional<ScheduleOptions> observation_schedule_;
};

/// The type that `loss_dtype` stands for.
at::ScalarType loss_type(const TrainingOptions& options);
at::ScalarType parameter_type(const TrainingOptions& options);

struct Experiment {
  TaskInfo info;
  std::function<std::unique_ptr<Task>()> make;
};

}  // namespace grokscope
