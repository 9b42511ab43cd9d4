#include "run/health.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "run/resources.hpp"

namespace grokscope {

Health::Health(HealthOptions options) : options_(std::move(options)), used_bytes_(used_disk_bytes(options_.run_directory)) {}

void Health::expect_growth(double bytes) { growth_bytes_ = std::max(growth_bytes_, bytes); }

double Health::next_growth() {
  const double used = used_disk_bytes(options_.run_directory);
  growth_bytes_ = std::max(growth_bytes_, used - used_bytes_);
  used_bytes_ = used;
  return growth_bytes_;
}

bool Health::memory_is_short() {
  const double now = watch_.seconds();
  if (is_short_ || (looked_at_s_ >= 0 && now - looked_at_s_ < 1)) return is_short_;
  looked_at_s_ = now;
  memory_bytes_ = available_memory_bytes();
  is_short_ = memory_bytes_ < options_.keep_free_memory_bytes;
  return is_short_;
}

void Health::refuse_short_memory() const {
  if (!is_short_) return;
  throw EnvironmentError(fmt::format(
      "{} of memory left, computational_limits.keep_free_memory_gb is {:g} (the kernel or the batch system would kill a rank "
      "soon), the run has committed and stopped: ask for more memory or for more nodes and run the same command again",
      format_bytes(memory_bytes_), options_.keep_free_memory_bytes / 1e9));
}

void Health::require_disk(double bytes, const std::string& purpose) const {
  const auto& path = options_.run_directory;
  const double left = available_disk_bytes(path) - options_.keep_free_disk_bytes;
  if (left < bytes) {
    throw EnvironmentError(fmt::format(
        "the disk of {} has {} left beyond computational_limits.keep_free_disk_gb and about {} are needed for {} (a full disk "
        "tears files), make space and run the same command again",
        path.string(), format_bytes(std::max(0.0, left)), format_bytes(bytes), purpose));
  }
  if (options_.disk_budget_bytes <= 0) return;
  const double used = used_disk_bytes(path);
  if (used + bytes <= options_.disk_budget_bytes) return;
  throw EnvironmentError(fmt::format(
      "{} takes {} and about {} more are needed for {} (storage.disk_budget_gb is {:g}), raise it or keep fewer checkpoints "
      "(storage.keep_checkpoints) and run the same command again",
      path.string(), format_bytes(used), format_bytes(bytes), purpose, options_.disk_budget_bytes / 1e9));
}

}  // namespace grokscope
