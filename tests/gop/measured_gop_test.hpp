// What do the tests of a whole measurement share? A meter on every rank, explicit gradients, and how far numbers may lie from
// those of dense linear algebra in float64.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "every_rank_test.hpp"
#include "gop/gop.hpp"
#include "gop/reference_metrics.hpp"
#include "gop/small_models.hpp"
#include "gradients/explicit_gradients.hpp"

namespace grokscope {

inline const MetricOptions kOptions{6, 1e-6, 1e-3};
inline const GopRequest kLayerSpectra{true, false, std::nullopt};
inline const GopRequest kCovarianceSpectrum{false, true, std::nullopt};
inline const GopRequest kEverySpectrum{true, true, std::nullopt};

class GopTest : public EveryRankTest {
 protected:
  /// Measures with a meter of its own. Collective.
  GopResult measure(const GradientMatrix& g, const std::vector<Layer>& layers, const GopSettings& settings,
                    const GopRequest& request = {}, const Subspace* previous = nullptr) {
    GopMeter meter(comm, layers, settings, log);
    auto result = meter.measure(g, request, previous, timers, [] {});
    meter.release();
    return result;
  }
  GopResult measure(const SmallModel& m, const GopSettings& settings, const GopRequest& request = {},
                    const Subspace* previous = nullptr) {
    return measure(gradients_of(comm, m), m.model->parameters.layers(), settings, request, previous);
  }
  GopResult measure_given(const at::Tensor& g, const GopSettings& settings, const GopRequest& request = {}) {
    return measure(given_gradients(comm, g), {{"w", {0, g.size(1)}}}, settings, request);
  }

  static at::Tensor explicit_g(const SmallModel& m) {
    return explicit_gradients(*m.model, *m.loss, m.inputs, m.targets);
  }
  static GopSettings settings(const std::string& path = "auto") {
    GopSettings s;
    s.metrics = kOptions;
    s.path = path;
    return s;
  }
  /// The eigenvectors in parameter space, whole, on every rank. Collective.
  at::Tensor whole_vectors(const Subspace& subspace, std::int64_t parameters) const {
    const auto mine = subspace.vectors.contiguous();
    const auto all =
        comm.all_gather_uneven<double>({mine.data_ptr<double>(), static_cast<std::size_t>(mine.numel())});
    return at::from_blob(const_cast<double*>(all.data()), {parameters, mine.size(1)}, at::kDouble).clone();
  }

  Log log = Log::silent();
  TimerTree timers;
};

inline const std::vector<double>& vector_of(const Record& record, const std::string& path) {
  for (const auto& m : record.measurements) {
    if (m.is_vector && m.quantity.path == path) return m.values;
  }
  throw InternalError("no vector " + path);
}

/// Compares eigenvalues with the leading ones of the reference, to 1e-10 of the largest.
inline void expect_spectrum(const std::vector<double>& values, const at::Tensor& reference,
                     const std::string& where) {
  ASSERT_LE(static_cast<std::int64_t>(values.size()), reference.size(0)) << where;
  const double largest = reference[0].item<double>();
  for (std::size_t j = 0; j < values.size(); ++j) {
    EXPECT_NEAR(values[j], reference[static_cast<std::int64_t>(j)].item<double>(), 1e-10 * largest)
        << where << ", eigenvalue " << j;
  }
}

/// Relative error allowed: 1e-10. Numbers that rest on small eigenvalues feel the rounding of the solver, of
/// which 1e-13 lambda_1 is granted to each eigenvalue.
inline void expect_metrics(const Record& record, const std::string& prefix,
                    const std::map<std::string, double>& reference, const std::string& where) {
  const double condition = reference.at("gop_condition_number");
  const double of_logarithms = 1e-13 * condition * reference.at("gop_rank");
  for (const auto& [name, expected] : reference) {
    const double value = record.value_of(prefix + name);
    if (!std::isfinite(expected)) {
      EXPECT_EQ(value, expected) << where << " " << prefix << name;
      continue;
    }
    double tolerance = 1e-10 * std::max(std::abs(expected), 1e-30);
    if (name == "gop_condition_number") tolerance += 1e-13 * condition * condition;
    if (name == "gop_log_pseudo_determinant" || name == "gop_log_determinant") tolerance += of_logarithms;
    if (name == "gop_determinant") tolerance += of_logarithms * expected;
    if (name == "gop_eigenvalue_min") tolerance = 1e-10 * reference.at("gop_eigenvalue_max");
    EXPECT_NEAR(value, expected, tolerance) << where << " " << prefix << name;
  }
}

inline double norm_of(const at::Tensor& t) {
  return t.norm().item<double>();
}

}  // namespace grokscope
