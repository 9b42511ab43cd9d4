#include "probes/gop_options.hpp"

namespace grokscope {

TrackedExamples ConfigType<TrackedExamples>::parse(const Node& node) {
  if (node.is_scalar() && node.scalar == "all") return {};
  const auto count = ConfigType<std::int64_t>::parse(node);
  if (count < 1) throw ValueProblem(std::to_string(count) + " is below 1", "", "write all or a number of examples");
  return {count};
}

Node ConfigType<TrackedExamples>::format(const TrackedExamples& value) {
  return value.is_all() ? Node::plain("all") : ConfigType<std::int64_t>::format(value.count);
}

StorePolicy ConfigType<StorePolicy>::parse(const Node& node) {
  if (node.is_scalar() && node.scalar == "dense") return StorePolicy::dense;
  if (node.is_scalar() && node.scalar == "factors") return StorePolicy::factors;
  return ConfigType<bool>::parse(node) ? StorePolicy::dense : StorePolicy::none;
}

Node ConfigType<StorePolicy>::format(const StorePolicy& value) {
  if (value == StorePolicy::factors) return ConfigType<std::string>::format("factors");
  return ConfigType<bool>::format(value == StorePolicy::dense);
}

void GopTrackingOptions::declare(Schema& s) {
  s.add("enabled", enabled, "track gradient outer products at all");
  s.add("compute_full", compute_full, "the full spectrum of the GOP of all parameters; false: its norms and top k");
  s.add("compute_per_layer", compute_per_layer, "the GOP of every layer");
  s.add("frequency", frequency, "one tracked epoch every so many").unit("epoch").at_least(1);
  s.add("schedule", schedule, "tracked moments, instead of frequency");
  s.add("top_k_eigen", top_k_eigen, "leading eigenvalues and eigenvectors kept").at_least(1);
  s.add("rank_threshold", rank_threshold, "gop_rank counts eigenvalues above this times the largest").above(0).below(1);
  s.add("regularisation", regularisation, "mu of log det(I + GOP/mu)").above(0);
  s.add("use_gpu", use_gpu, "accepted from older configurations; training.device decides").not_scientific();
  s.add("store_eigenvectors", store_eigenvectors, "keep the top eigenvectors in parameter space");
  s.add("definitions", definitions, "which outer products; the first is primary")
      .one_of({"second_moment", "covariance", "mean"}).length_at_least(1);
  s.add("examples", examples, "tracked examples: all or a fixed random subset").unit("example");
  s.add("split", split, "which examples are tracked").one_of({"train", "test"});
  s.add("layer_spectra", layer_spectra, "full spectra of the layers at every k-th tracked moment, 0: never").at_least(0);
  s.add("covariance_spectra", covariance_spectra, "spectrum of the covariance at every k-th tracked moment, 0: never")
      .at_least(0);
  s.add("path", path, "side that is diagonalised: examples (gram) or parameters (dense)").one_of({"auto", "gram", "dense"});
  s.add("solver", solver, "eigensolver").one_of({"auto", "lapack", "two_stage", "scalapack", "elpa1", "elpa2"});
  s.add("spectrum", spectrum, "all eigenvalues or the top k").one_of({"full", "top_k"});
}

ScheduleOptions GopTrackingOptions::effective_schedule() const {
  if (schedule) return *schedule;
  ScheduleOptions every;
  every.every = frequency;
  return every;
}

GopSettings GopTrackingOptions::settings(std::uint64_t seed, double memory_per_rank_gb) const {
  return {definitions, {top_k_eigen, rank_threshold, regularisation}, path, solver, compute_full ? spectrum : "top_k",
          compute_per_layer,
          memory_per_rank_gb, seed};
}

void StorageOptions::declare(Schema& s) {
  s.add("output_dir", output_dir, "the run directory; auto: results/ and the configuration's path below configs/")
      .not_scientific();
  s.add("compression", compression, "of stored matrices").one_of({"none", "gzip"}).not_scientific();
  s.add("compression_level", compression_level, "of gzip").range(1, 9).not_scientific();
  s.add("store_full_gop", store_full_gop,
        "keep the GOP of all parameters: true (or dense), P x P numbers; factors, which rebuild it exactly").not_scientific();
  s.add("store_layer_gops", store_layer_gops, "the same for the GOP of every layer").not_scientific();
  s.add("layout", layout, "of stored matrices: square, P x P; lower, the tiles of the lower triangle, half as many bytes")
      .one_of({"square", "lower"}).not_scientific();
  s.add("panel_memory_gb", panel_memory_gb, "memory of a rank for the rows of a dense GOP that are formed at a time")
      .unit("GB").above(0).not_scientific();
  s.add("gop_schedule", gop_schedule, "tracked moments at which matrices are stored; the last one always is").not_scientific();
  s.add("float_precision", float_precision, "of stored matrices").one_of({"float32", "float64"}).not_scientific();
  s.add("keep_checkpoints", keep_checkpoints, "newest checkpoints kept, 0: all; those of computational_limits.checkpoint_epochs "
                                              "always are").at_least(0).not_scientific();
  s.add("keep_every", keep_every, "of older ones, those of epochs divisible by this are kept, 0: none").unit("epoch").at_least(0)
      .not_scientific();
  s.add("keep_around_t_gen", keep_around_t_gen, "of older ones, this many before and from generalisation on are kept")
      .at_least(0).not_scientific();
  s.add("disk_budget_gb", disk_budget_gb, "what the run directory may take; the run commits and stops before it takes more, 0: "
                                          "the whole disk").unit("GB").at_least(0).not_scientific();
}

}  // namespace grokscope
