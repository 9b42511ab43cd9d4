// Which side is diagonalised: the Gram matrix G G^T, N x N, or the GOP itself, P x P?
// Their non-zero spectra agree. A pure function of sizes, ranks and configuration.
#pragma once

#include <cstdint>
#include <string>

namespace grokscope {

enum class Side { gram, dense };

struct SideRequest {
  std::int64_t examples = 0;           ///< N
  std::int64_t parameters = 0;         ///< P
  double gram_macs_per_pair = 0;       ///< of the structured Gram kernels, over all parameters
  int ranks = 1;
  std::string wanted = "auto";         ///< gop_tracking.path: auto | gram | dense
  double memory_per_rank_gb = 8;       ///< what a P x P matrix may take
};

struct SideChoice {
  Side side = Side::gram;
  std::string reason;  ///< for the log
};

/// Compares N^2/2 c + 2/3 N^3 with N P^2/2 + 2/3 P^3 multiply-accumulates, and the memory of P x P with the limit.
/// Throws UserError for an unknown name. Local.
SideChoice choose_side(const SideRequest& request);

}  // namespace grokscope
