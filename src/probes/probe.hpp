// What is measured while it trains?
// A probe is a pure function of weights, fixed data and its own declared state; it never changes training, and the same
// probe runs later from checkpoints. The session asks it when it is due and what it needs, and hands it the moment.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/timer.hpp"
#include "comm/stop.hpp"
#include "io/run_writer.hpp"
#include "train/moment.hpp"
#include "train/task.hpp"
#include "train/trainer.hpp"

namespace grokscope {

/// One moment of training, as a probe sees it.
struct ProbeMoment {
  Moment now;
  const Evaluation& evaluation;
  StepPass* pass = nullptr;  ///< the training pass at this moment, with taps when the probe asked for them; null post hoc
};

class Probe {
 public:
  virtual ~Probe() = default;
  virtual std::string name() const = 0;
  virtual bool due(const Moment& now) const = 0;
  /// True when the taps of the training batch are the ones it needs, so that no second pass is made.
  virtual bool uses_training_taps() const = 0;
  /// False where measuring needs the training pass: `analyze`, which has none, leaves such a probe out.
  virtual bool measures_post_hoc() const { return true; }
  /// True when measuring writes a matrix for so long that the state should be committed before: a stop may then leave it
  /// unfinished, to be taken up. The same on every rank. Local.
  virtual bool streams(const Moment&) const { return false; }
  /// Measures and hands the results to the writer, all of them or, where it throws, none. Collective.
  virtual void measure(const ProbeMoment& moment) = 0;
  /// What must survive a restart, under names of the probe's own: "probes/<name>/...".
  virtual std::vector<NamedArray> state() const { return {}; }
  /// Collective.
  virtual void load(std::span<const NamedArray>) {}
  /// Tells every evaluation; the probe may measure earlier moments now. Collective.
  virtual void evaluated(const Moment&, const Evaluation&) {}
  /// Gives back what needs peers to be given back. Collective.
  virtual void release() {}
};

/// What a probe may use of its run; everything outlives the probe.
struct ProbeSurroundings {
  const Communicator& comm;
  Task& task;
  RunWriter& writer;
  Log& log;
  TimerTree& timers;
  StopFlag& stop;
};

/// The keys of a probe that a program brings along, and how it is made of them.
class ProbeOptions {
 public:
  virtual ~ProbeOptions() = default;
  /// The keys of the section `probes.<name>`.
  virtual void declare(Schema& s) = 0;
  /// Returns the probe, or nothing where it is switched off. The task has its data and model. Collective.
  virtual std::unique_ptr<Probe> make(const ProbeSurroundings& around) const = 0;
};

/// A probe that a program brings along, for any experiment. Its series belong under `probes/<name>`.
struct ProbeKind {
  std::string name;
  std::function<std::unique_ptr<ProbeOptions>()> make;
};

}  // namespace grokscope
