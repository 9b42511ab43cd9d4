// How are gradient outer products tracked and stored? The `gop_tracking:` and `storage:` sections.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/schema.hpp"
#include "gop/gop.hpp"
#include "train/schedule.hpp"

namespace grokscope {

/// "all" or a number: a fixed seeded subset.
struct TrackedExamples {
  std::int64_t count = 0;  ///< 0 means all
  bool is_all() const { return count == 0; }
};

template <>
struct ConfigType<TrackedExamples> {
  static std::string type_name() { return "all | integer"; }
  static TrackedExamples parse(const Node& node);
  static Node format(const TrackedExamples& value);
};

/// Whether and how a matrix is kept: true (= dense), factors (what rebuilds it exactly, factors.hpp) or false.
enum class StorePolicy { none, factors, dense };

template <>
struct ConfigType<StorePolicy> {
  static std::string type_name() { return "true | dense | factors | false"; }
  static StorePolicy parse(const Node& node);
  static Node format(const StorePolicy& value);
};

struct GopTrackingOptions {
  bool enabled = true;
  bool compute_full = true;
  bool compute_per_layer = true;
  std::int64_t frequency = 10;
  std::optional<ScheduleOptions> schedule;
  std::int64_t top_k_eigen = 10;
  double rank_threshold = 1e-6;
  double regularisation = 1e-6;
  bool use_gpu = false;
  bool store_eigenvectors = false;
  std::vector<std::string> definitions{"second_moment", "covariance"};
  TrackedExamples examples;
  std::string split = "train";
  std::int64_t layer_spectra = 10;
  std::int64_t covariance_spectra = 10;
  std::string path = "auto";
  std::string solver = "auto";
  std::string spectrum = "full";

  void declare(Schema& s);
  /// `frequency` unless a schedule is given.
  ScheduleOptions effective_schedule() const;
  GopSettings settings(std::uint64_t seed, double memory_per_rank_gb) const;
};

struct StorageOptions {
  std::string output_dir = "auto";
  std::string compression = "none";
  std::int64_t compression_level = 4;
  StorePolicy store_full_gop = StorePolicy::none;
  StorePolicy store_layer_gops = StorePolicy::none;
  std::string layout = "square";
  double panel_memory_gb = 0.5;
  ScheduleOptions gop_schedule = every_thousand_epochs();
  std::string float_precision = "float64";
  std::int64_t keep_checkpoints = 0;
  std::int64_t keep_every = 0;
  std::int64_t keep_around_t_gen = 0;
  double disk_budget_gb = 0;

  void declare(Schema& s);
  /// Whether anything beside spectra is stored.
  bool stores() const { return store_full_gop != StorePolicy::none || store_layer_gops != StorePolicy::none; }

 private:
  static ScheduleOptions every_thousand_epochs() {
    ScheduleOptions schedule;
    schedule.every = 1000;
    return schedule;
  }
};

}  // namespace grokscope
