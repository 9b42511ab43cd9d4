// The first probe: the gradient outer product on its schedule, into metrics.h5, gop_full.h5 and gop_layers.h5.
#pragma once

#include "gop/gop.hpp"
#include "probes/gop_options.hpp"
#include "probes/probe.hpp"

namespace grokscope {

class GopProbe : public Probe {
 public:
  /// `last` is the end of the run in the unit of the schedule. Collective.
  GopProbe(ProbeSurroundings around, const GopTrackingOptions& options, const StorageOptions& storage,
           const TrainingOptions& training, std::int64_t last, bool full_batch, double memory_per_rank_gb);

  std::string name() const override { return "gop"; }
  bool due(const Moment& now) const override { return schedule_.due(now); }
  bool uses_training_taps() const override { return shares_backward_; }
  bool streams(const Moment& now) const override;
  void measure(const ProbeMoment& moment) override;
  void evaluated(const Moment& now, const Evaluation& evaluation) override;
  std::vector<NamedArray> state() const override;
  void load(std::span<const NamedArray> arrays) override;
  void release() override { meter_.release(); }

  /// Ids of the tracked examples, [n] int64.
  at::Tensor tracked_ids() const { return tracked_.ids; }

 private:
  GradientMatrix gradients(StepPass* pass) const;
  void store(const Moment& now, const GradientMatrix& g, const GopResult& result);
  void store_full(const Moment& now, const GradientMatrix& g, const GopResult& result);
  void store_layers(const Moment& now, const GradientMatrix& g, const GopResult& result);
  void store_vectors(const Moment& now, const GradientMatrix& g, const GopResult& result);
  Attributes facts_of(const Moment& now, const GradientMatrix& g) const;
  void store_matrices(const GradientMatrix& g, const std::string& group);
  /// The dense GOP of some parameters, in the configured layout, as matrix_name() in a group of a view. Its rows are read
  /// from `whole`, where that is the file of the square GOP of all parameters, else formed. Returns what write_matrix() does.
  std::filesystem::path store_matrix(const std::string& view, const std::string& group, const GradientMatrix& g,
                                     IndexRange range, std::uint64_t identity, const std::filesystem::path& whole = {});
  std::string matrix_name() const;
  /// How the matrix of so many parameters is stored. `identity` is that of everything it follows from.
  MatrixSpec spec_of(IndexRange range, std::uint64_t identity) const;

  ProbeSurroundings around_;
  GopTrackingOptions options_;
  StorageOptions storage_;
  Dataset tracked_;
  bool shares_backward_;
  Schedule schedule_;
  Schedule storing_;
  GopMeter meter_;
  std::int64_t count_ = 0;               ///< tracked moments so far
  std::int64_t last_step_ = -1;          ///< step of the last one
  at::Tensor previous_parameters_;       ///< theta there: enough to make the subspace again
  std::optional<Subspace> previous_;
  bool looking_back_ = false;
};

}  // namespace grokscope
