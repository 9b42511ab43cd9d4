// The oracle: every scalar of a GOP from the explicit matrix G, [N, P] float64.
// Dense linear algebra in one process; shares nothing with src/gop.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "gop/metrics.hpp"

namespace grokscope {

/// All P eigenvalues of (1/N) G^T G, descending.
inline at::Tensor reference_eigenvalues(const at::Tensor& g) {
  return at::linalg_eigvalsh(g.t().mm(g) / static_cast<double>(g.size(0)), "L").flip(0);
}

/// Its eigenvectors [P, P], in the same order.
inline at::Tensor reference_eigenvectors(const at::Tensor& g) {
  return std::get<1>(at::linalg_eigh(g.t().mm(g) / static_cast<double>(g.size(0)), "L")).flip(1);
}

inline std::vector<double> to_vector(const at::Tensor& t) {
  const auto host = t.to(at::kDouble).contiguous();
  return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
}

/// The scalars, by name. `mean_gradient` is the norm that gop_mean_gradient_norm must have.
inline std::map<std::string, double> reference_metrics(const at::Tensor& g, double mean_gradient,
                                                       const MetricOptions& options) {
  const auto all = reference_eigenvalues(g);
  const auto p = g.size(1), m = std::min(g.size(0), p);
  const auto top = all.slice(0, 0, m);
  const double largest = all[0].item<double>(),
               trace = g.square().sum().item<double>() / static_cast<double>(g.size(0));
  const auto counted = top.masked_select(top > options.rank_threshold * largest);
  const auto share = (top / trace).clamp_min(1e-300);
  std::map<std::string, double> r;
  r["gop_trace"] = r["gop_nuclear_norm"] = trace;
  r["gop_frobenius_norm"] = all.norm().item<double>();
  r["gop_spectral_norm"] = r["gop_eigenvalue_max"] = largest;
  r["gop_stable_rank"] = trace / largest;
  r["gop_participation_ratio"] = trace * trace / all.square().sum().item<double>();
  r["gop_mean_gradient_norm"] = mean_gradient;
  r["gop_rank"] = static_cast<double>(counted.numel());
  r["gop_condition_number"] = largest / counted[-1].item<double>();
  r["gop_log_pseudo_determinant"] = counted.log().sum().item<double>();
  r["gop_logdet_regularised"] =
      at::log(at::clamp_min(top, 0) / options.regularisation + 1).sum().item<double>();
  r["gop_eigenvalue_mean"] = all.mean().item<double>();
  r["gop_eigenvalue_std"] = all.std(0, false).item<double>();
  r["gop_eigenvalue_min"] = p > m ? 0 : all[-1].item<double>();
  r["gop_top_k_cumulative_variance"] = top.slice(0, 0, options.top_k).sum().item<double>() / trace;
  r["gop_entropy_rank"] = std::exp(-(share * share.log()).sum().item<double>());
  const bool singular = p > m || all[-1].item<double>() <= 1e-13 * largest;
  r["gop_singular"] = singular ? 1 : 0;
  r["gop_log_determinant"] =
      singular ? -std::numeric_limits<double>::infinity() : all.log().sum().item<double>();
  r["gop_determinant"] = std::exp(r["gop_log_determinant"]);
  return r;
}

}  // namespace grokscope
