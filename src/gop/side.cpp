#include "gop/side.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace grokscope {

SideChoice choose_side(const SideRequest& r) {
  const auto n = static_cast<double>(r.examples), p = static_cast<double>(r.parameters);
  if (r.wanted == "gram") return {Side::gram, "gram side, as configured"};
  if (r.wanted == "dense") return {Side::dense, "dense side, as configured"};
  if (r.wanted != "auto") {
    throw UserError(fmt::format("gop_tracking.path '{}' is unknown, use auto, gram or dense", r.wanted));
  }
  const double gram = n * n / 2 * r.gram_macs_per_pair + 2.0 / 3 * n * n * n;
  const double dense = n * p * p / 2 + 2.0 / 3 * p * p * p;
  const double dense_gb = 8 * p * p / r.ranks / 1e9;
  if (dense_gb > r.memory_per_rank_gb) {
    return {Side::gram, fmt::format("gram side: N = {}, and P x P (P = {}) would take {} on each of {} rank(s)",
                                    r.examples, r.parameters, format_bytes(dense_gb * 1e9), r.ranks)};
  }
  const bool choose_gram = gram <= dense;
  return {choose_gram ? Side::gram : Side::dense,
          fmt::format("{} side: N = {}, P = {}, {:.3g} GMAC for the Gram side against {:.3g} for the dense one",
                      choose_gram ? "gram" : "dense", r.examples, r.parameters, gram / 1e9, dense / 1e9)};
}

}  // namespace grokscope
