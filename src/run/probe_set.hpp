// Which probes does this run have, and which of them want to look now?
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "probes/probe.hpp"
#include "run/configuration.hpp"
#include "train/trainer.hpp"

namespace grokscope {

class ProbeSet {
 public:
  /// That of the GOP first, which alone can be interrupted, then those that the program brings along. Collective.
  void make(const ProbeSurroundings& around, const RunConfiguration& configuration, const Trainer& trainer);

  /// The same without training passes: those that need one are left out, with a warning for each. Collective.
  void make_post_hoc(const ProbeSurroundings& around, const RunConfiguration& configuration, const Trainer& trainer);

  bool due(const Moment& now) const;
  /// True when one that is due wants the taps of the training batch.
  bool wants_taps(const Moment& now) const;

  /// True when one that is due streams a matrix.
  bool streams(const Moment& now) const;

  // As the same of Probe, of all of them.
  void measure(const ProbeMoment& moment);
  /// Measures with every one, due or not. Collective.
  void measure_all(const ProbeMoment& moment);
  void evaluated(const Moment& now, const Evaluation& evaluation);
  std::vector<NamedArray> state() const;
  void load(std::span<const NamedArray> arrays);
  void release();

 private:
  void make(const ProbeSurroundings& around, const RunConfiguration& configuration, const Trainer& trainer, bool full_batch);

  std::vector<std::unique_ptr<Probe>> all_;
};

/// The final moment of a run, counted in "epoch" or "step".
std::int64_t last_in(const std::string& unit, const Trainer& trainer);

}  // namespace grokscope
