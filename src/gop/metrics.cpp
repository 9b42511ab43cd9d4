#include "gop/metrics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace grokscope {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array kRankThresholds{1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14};

/// Number of eigenvalues above a bound; the values are descending.
std::int64_t count_above(const std::vector<double>& values, double bound) {
  return std::partition_point(values.begin(), values.end(), [&](double v) { return v > bound; }) - values.begin();
}

double entropy_rank(const std::vector<double>& values, double trace) {
  double entropy = 0;
  for (const double value : values) {
    const double p = value / trace;
    if (p > 0) entropy -= p * std::log(p);
  }
  return std::exp(entropy);
}

struct Determinants {
  double log_determinant = -kInfinity;
  double log_pseudo = 0;
  double regularised = 0;
  bool singular = true;
};

Determinants determinants(const GopMoments& m, const std::vector<double>& values, std::int64_t rank, double floor,
                          double mu) {
  Determinants d;
  for (std::int64_t j = 0; j < rank; ++j) d.log_pseudo += std::log(values[static_cast<std::size_t>(j)]);
  for (const double value : values) d.regularised += std::log1p(std::max(value, 0.0) / mu);
  d.singular = m.parameters > m.examples || values.empty() || values.back() <= floor;
  if (!d.singular) {
    d.log_determinant = 0;
    for (const double value : values) d.log_determinant += std::log(value);
  }
  return d;
}

}  // namespace

double noise_floor(double lambda_1, std::int64_t side) {
  return 4 * static_cast<double>(side) * std::numeric_limits<double>::epsilon() * lambda_1;
}

std::vector<double> top_values(const std::vector<double>& eigenvalues, std::int64_t k) {
  auto top = eigenvalues;
  top.resize(static_cast<std::size_t>(k), kMissing);
  return top;
}

void add_moment_metrics(Record& record, const std::string& prefix, const GopMoments& m,
                        std::optional<double> lambda_1) {
  const auto set = [&](const char* name, double value) { record.set(gop_quantity(prefix, name, m.definition), value); };
  set("gop_trace", m.trace);
  set("gop_frobenius_norm", m.frobenius);
  set("gop_participation_ratio", m.frobenius > 0 ? std::pow(m.trace / m.frobenius, 2) : kMissing);
  set("gop_mean_gradient_norm", m.mean_gradient_norm);
  if (!lambda_1) return;
  set("gop_spectral_norm", *lambda_1);
  set("gop_stable_rank", *lambda_1 > 0 ? m.trace / *lambda_1 : kMissing);
}

void add_spectrum_metrics(Record& record, const std::string& prefix, const GopMoments& m,
                          const std::vector<double>& eigenvalues, std::int64_t side, const MetricOptions& options) {
  const auto set = [&](const char* name, double value) { record.set(gop_quantity(prefix, name, m.definition), value); };
  const auto m_values = static_cast<std::size_t>(std::min(m.examples, m.parameters));
  auto values = eigenvalues;
  const bool full = values.size() >= m_values;
  if (full) values.resize(m_values);
  const double lambda_1 = values.empty() ? 0 : values.front();
  const double floor = noise_floor(lambda_1, side);
  const auto p = static_cast<double>(m.parameters);

  set("gop_nuclear_norm", m.trace);
  set("gop_eigenvalue_max", lambda_1);
  set("gop_eigenvalue_mean", m.trace / p);
  set("gop_eigenvalue_std", std::sqrt(std::max(m.frobenius * m.frobenius / p - std::pow(m.trace / p, 2), 0.0)));
  set("noise_floor", floor);
  const auto top = std::min<std::size_t>(values.size(), static_cast<std::size_t>(options.top_k));
  double top_sum = 0;
  for (std::size_t j = 0; j < top; ++j) top_sum += values[j];
  set("gop_top_k_cumulative_variance", m.trace > 0 ? top_sum / m.trace : kMissing);

  // What exceeds a threshold below the noise floor may be noise. Zero gradients have none.
  const auto is_countable = [&](double threshold) { return full && lambda_1 > 0 && threshold * lambda_1 > floor; };
  const bool countable = is_countable(options.rank_threshold) || (full && lambda_1 <= 0);
  const auto rank = lambda_1 > 0 ? count_above(values, options.rank_threshold * lambda_1) : 0;
  const auto d = determinants(m, values, rank, floor, options.regularisation);
  set("gop_eigenvalue_min", m.parameters > m.examples ? 0.0 : full ? values.back() : kMissing);
  set("gop_rank", countable ? static_cast<double>(rank) : kMissing);
  set("gop_condition_number", countable && rank > 0 ? lambda_1 / values[static_cast<std::size_t>(rank - 1)] : kMissing);
  set("gop_log_pseudo_determinant", countable ? d.log_pseudo : kMissing);
  set("gop_logdet_regularised", full ? d.regularised : kMissing);
  set("gop_singular", full || m.parameters > m.examples ? (d.singular ? 1 : 0) : kMissing);
  set("gop_log_determinant", full || m.parameters > m.examples ? d.log_determinant : kMissing);
  set("gop_determinant", full || m.parameters > m.examples ? std::exp(d.log_determinant) : kMissing);
  set("gop_entropy_rank", full && m.trace > 0 ? entropy_rank(values, m.trace) : kMissing);

  std::vector<double> curve;
  for (const double threshold : kRankThresholds) {
    curve.push_back(is_countable(threshold) ? static_cast<double>(count_above(values, threshold * lambda_1)) : kMissing);
  }
  record.set(gop_quantity(prefix, "gop_rank_curve", m.definition), std::move(curve));
  record.set(gop_quantity(prefix, "eigenvalues_top_k", m.definition), top_values(values, options.top_k));
  values.resize(m_values, kMissing);
  record.set(gop_quantity(prefix, "eigenvalues", m.definition), std::move(values));
}

}  // namespace grokscope
