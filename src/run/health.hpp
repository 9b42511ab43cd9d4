// Can the run go on, or must it stop while it still can?
// Memory and disk run out in ways that kill a process or tear a write. The session asks here before that, commits, and leaves
// with a reason and code 3: the same job started again would meet the same shortage.
#pragma once

#include <filesystem>
#include <string>

#include "base/timer.hpp"

namespace grokscope {

struct HealthOptions {
  std::filesystem::path run_directory;
  double keep_free_memory_bytes = 0;
  double keep_free_disk_bytes = 0;
  double disk_budget_bytes = 0;  ///< of the run directory, 0: none
};

class Health {
 public:
  explicit Health(HealthOptions options);

  /// True when this rank's node has less memory left than it should. Looks at most once a second. Local.
  bool memory_is_short();

  /// Throws EnvironmentError when memory_is_short() was true. Local.
  void refuse_short_memory() const;

  /// Throws EnvironmentError unless `bytes` more fit onto the disk and into the budget; `purpose` completes "needed
  /// for ...". Local.
  void require_disk(double bytes, const std::string& purpose) const;

  /// What the plan says that one moment takes on the disk: from now on each commit expects at least that. Local.
  void expect_growth(double bytes);
  /// Called after every commit: by how much the run directory may grow until the next one, as it has at most so far or as it was
  /// told to expect. Local.
  double next_growth();

 private:
  HealthOptions options_;
  Stopwatch watch_;
  double looked_at_s_ = -1;
  double memory_bytes_ = 0;  ///< that was available when it was short, else 0
  bool is_short_ = false;
  double used_bytes_;  ///< of the run directory at the last commit
  double growth_bytes_ = 0;
};

}  // namespace grokscope
