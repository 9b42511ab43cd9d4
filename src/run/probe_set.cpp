#include "run/probe_set.hpp"

#include <algorithm>

#include "probes/gop_probe.hpp"

namespace grokscope {

void ProbeSet::make(const ProbeSurroundings& around, const RunConfiguration& c, const Trainer& trainer) {
  make(around, c, trainer, trainer.is_full_batch());
}

void ProbeSet::make_post_hoc(const ProbeSurroundings& around, const RunConfiguration& c, const Trainer& trainer) {
  make(around, c, trainer, false);
  std::erase_if(all_, [&](const auto& probe) {
    if (probe->measures_post_hoc()) return false;
    around.log.warn("the probe {} is left out (it needs the training pass, and a checkpoint has none), switch it on in a run",
                    probe->name());
    probe->release();
    return true;
  });
}

void ProbeSet::make(const ProbeSurroundings& around, const RunConfiguration& c, const Trainer& trainer, bool full_batch) {
  if (c.gop.enabled) {
    auto gop = std::make_unique<GopProbe>(around, c.gop, c.storage, c.training,
                                          last_in(c.gop.effective_schedule().unit, trainer), full_batch,
                                          c.limits.memory_per_rank_gb);
    if (!c.gop.examples.is_all()) {
      around.writer.set_fixed_arrays({to_named_array("tracked_ids", gop->tracked_ids())
                                          .described({"tracked examples", "1", "ids, in the order of the rows of G"})});
    }
    all_.push_back(std::move(gop));
  }
  for (const auto& options : c.probes) {
    if (auto probe = options->make(around)) all_.push_back(std::move(probe));
  }
}

bool ProbeSet::due(const Moment& now) const {
  return std::any_of(all_.begin(), all_.end(), [&](const auto& probe) { return probe->due(now); });
}

bool ProbeSet::wants_taps(const Moment& now) const {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const auto& probe) { return probe->due(now) && probe->uses_training_taps(); });
}

bool ProbeSet::streams(const Moment& now) const {
  return std::any_of(all_.begin(), all_.end(), [&](const auto& probe) { return probe->due(now) && probe->streams(now); });
}

void ProbeSet::measure(const ProbeMoment& moment) {
  for (const auto& probe : all_) {
    if (probe->due(moment.now)) probe->measure(moment);
  }
}

void ProbeSet::measure_all(const ProbeMoment& moment) {
  for (const auto& probe : all_) probe->measure(moment);
}

void ProbeSet::evaluated(const Moment& now, const Evaluation& evaluation) {
  for (const auto& probe : all_) probe->evaluated(now, evaluation);
}

std::vector<NamedArray> ProbeSet::state() const {
  std::vector<NamedArray> arrays;
  for (const auto& probe : all_) {
    for (auto& array : probe->state()) arrays.push_back(std::move(array));
  }
  return arrays;
}

void ProbeSet::load(std::span<const NamedArray> arrays) {
  for (const auto& probe : all_) probe->load(arrays);
}

void ProbeSet::release() {
  for (const auto& probe : all_) probe->release();
}

std::int64_t last_in(const std::string& unit, const Trainer& trainer) {
  return unit == "epoch" ? trainer.total_steps() / trainer.steps_per_epoch() : trainer.total_steps();
}

}  // namespace grokscope
