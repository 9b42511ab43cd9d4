#include "gop/quantities.hpp"

#include <array>

#include "base/error.hpp"

namespace grokscope {
namespace {

struct Entry {
  const char* name;
  const char* long_name;
  const char* units;
  const char* definition;
};

constexpr std::array kCatalogue{
    Entry{"gop_trace", "GOP trace", "loss^2/parameter^2", "tr C = (1/N) sum_i |g_i|^2"},
    Entry{"gop_frobenius_norm", "GOP Frobenius norm", "loss^2/parameter^2", "|C|_F = sqrt(sum lambda^2)"},
    Entry{"gop_spectral_norm", "GOP spectral norm", "loss^2/parameter^2", "lambda_1"},
    Entry{"gop_nuclear_norm", "GOP nuclear norm", "loss^2/parameter^2", "sum lambda = tr C (C is positive semidefinite)"},
    Entry{"gop_rank", "GOP rank", "1",
          "number of lambda > rank_threshold lambda_1; NaN where rank_threshold lambda_1 is below the noise floor"},
    Entry{"gop_rank_curve", "GOP rank at thresholds 1e-2 ... 1e-14", "1",
          "number of lambda > t lambda_1 for t = 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14; NaN where t lambda_1 is below "
          "the noise floor"},
    Entry{"gop_condition_number", "GOP condition number", "1",
          "lambda_1 / lambda_r over the r eigenvalues counted by gop_rank, NaN where that is; the whole matrix is singular "
          "where gop_singular"},
    Entry{"gop_determinant", "GOP determinant", "(loss^2/parameter^2)^P", "exp(gop_log_determinant); may underflow to 0"},
    Entry{"gop_log_determinant", "GOP log determinant", "1", "sum of log lambda over all P; -inf when singular"},
    Entry{"gop_log_pseudo_determinant", "GOP log pseudo-determinant", "1",
          "sum of log lambda over the r eigenvalues counted by gop_rank; 0 when r = 0, NaN where gop_rank is"},
    Entry{"gop_logdet_regularised", "GOP regularised log determinant", "1",
          "log det(I + C/mu), mu = gop_tracking.regularisation"},
    Entry{"gop_singular", "GOP is singular", "1", "1 when P > N or the smallest eigenvalue is at or below the noise floor"},
    Entry{"gop_eigenvalue_max", "largest eigenvalue", "loss^2/parameter^2", "over all P eigenvalues, zeros included"},
    Entry{"gop_eigenvalue_min", "smallest eigenvalue", "loss^2/parameter^2", "over all P eigenvalues; 0 when P > N"},
    Entry{"gop_eigenvalue_mean", "mean eigenvalue", "loss^2/parameter^2", "tr C / P"},
    Entry{"gop_eigenvalue_std", "standard deviation of the eigenvalues", "loss^2/parameter^2",
          "sqrt(|C|_F^2/P - (tr C/P)^2) over all P eigenvalues"},
    Entry{"gop_top_k_cumulative_variance", "share of the trace in the top k", "1", "sum_{j<=k} lambda_j / tr C"},
    Entry{"gop_stable_rank", "GOP stable rank", "1", "tr C / lambda_1"},
    Entry{"gop_participation_ratio", "GOP participation ratio", "1", "(tr C)^2 / |C|_F^2"},
    Entry{"gop_entropy_rank", "GOP entropy rank", "1", "exp(-sum p log p), p = lambda / tr C"},
    Entry{"gop_mean_gradient_norm", "norm of the mean gradient", "loss/parameter", "|gbar|, gbar = (1/N) sum_i g_i"},
    Entry{"gop_mean_gradient_alignment", "alignment of the mean gradient with v_1", "1", "(gbar . v_1)^2 / |gbar|^2"},
    Entry{"gop_subspace_overlap", "overlap of the top-k eigenspace with that of the previous tracked epoch", "1",
          "|V_t^T V_s|_F^2 / k; of at most top_k_eigen vectors k come, in both epochs, before the first with lambda at or below "
          "the noise floor or |K u - lambda u| > 1e-3 lambda, K the matrix solved"},
    Entry{"eigenvalues_top_k", "top k eigenvalues", "loss^2/parameter^2", "lambda_1 >= ... >= lambda_k, NaN beyond min(N,P)"},
    Entry{"eigenvalues", "eigenvalues", "loss^2/parameter^2", "lambda_1 >= ... >= lambda_m, m = min(N,P)"},
    Entry{"noise_floor", "noise floor of the spectrum", "loss^2/parameter^2", "4 n eps lambda_1, n the side solved"},
};

/// What is to be said otherwise where C is not the second moment.
struct Variant {
  Definition of;
  const char* name;
  const char* definition;
};

constexpr std::array kVariants{
    Variant{Definition::covariance, "gop_trace", "tr C = (1/N) sum_i |g_i - gbar|^2"},
    Variant{Definition::mean, "gop_trace", "tr C = |gbar|^2"},
    Variant{Definition::mean, "gop_singular", "1 when P > 1 or the one eigenvalue is at or below the noise floor"},
    Variant{Definition::mean, "gop_eigenvalue_min", "over all P eigenvalues; 0 when P > 1"},
    Variant{Definition::mean, "eigenvalues_top_k", "lambda_1 = |gbar|^2, NaN beyond"},
    Variant{Definition::mean, "eigenvalues", "lambda_1 = |gbar|^2; all others are 0"},
    Variant{Definition::mean, "noise_floor", "4 eps lambda_1"},
};

const char* matrix_of(Definition definition) {
  switch (definition) {
    case Definition::second_moment: return "; C = (1/N) sum_i g_i g_i^T";
    case Definition::covariance: return "; C = (1/N) sum_i (g_i - gbar)(g_i - gbar)^T, gbar = (1/N) sum_i g_i";
    case Definition::mean: return "; C = gbar gbar^T, gbar = (1/N) sum_i g_i";
  }
  throw InternalError("a GOP without a definition");
}

}  // namespace

std::vector<std::string> gop_quantity_names() {
  std::vector<std::string> names;
  for (const auto& entry : kCatalogue) names.emplace_back(entry.name);
  return names;
}

Quantity gop_quantity(const std::string& prefix, const std::string& name) {
  for (const auto& entry : kCatalogue) {
    if (name == entry.name) return {prefix + name, entry.long_name, entry.units, entry.definition};
  }
  throw InternalError("unknown GOP quantity " + name);
}

Quantity gop_quantity(const std::string& prefix, const std::string& name, Definition of) {
  auto quantity = gop_quantity(prefix, name);
  for (const auto& variant : kVariants) {
    if (variant.of == of && name == variant.name) quantity.definition = variant.definition;
  }
  quantity.definition += matrix_of(of);
  return quantity;
}

}  // namespace grokscope
