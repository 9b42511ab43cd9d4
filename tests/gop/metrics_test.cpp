// Every definition of a published number (named in src/gop/quantities.cpp), against numbers
// worked out by hand from spectra small enough for that.
#include "gop/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "base/error.hpp"
#include "gop/quantities.hpp"

namespace grokscope {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEps = std::numeric_limits<double>::epsilon();

/// The record of one spectrum, with every metric in it.
class Metrics {
 public:
  Metrics(const GopMoments& moments, const std::vector<double>& eigenvalues, std::int64_t side,
          const MetricOptions& options) {
    add_moment_metrics(record_, "", moments, eigenvalues.front());
    add_spectrum_metrics(record_, "", moments, eigenvalues, side, options);
  }
  double operator[](const std::string& name) const { return record_.value_of(name); }
  const std::vector<double>& vector(const std::string& name) const {
    for (const auto& m : record_.measurements) {
      if (m.is_vector && m.quantity.path == name) return m.values;
    }
    throw InternalError("no vector " + name);
  }
  const Record& record() const { return record_; }

 private:
  Record record_;
};

/// Equal, with NaN equal to NaN.
void expect_values(const std::vector<double>& values, const std::vector<double>& expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(expected[i])) {
      EXPECT_TRUE(std::isnan(values[i])) << "element " << i << " is " << values[i];
    } else {
      EXPECT_DOUBLE_EQ(values[i], expected[i]) << "element " << i;
    }
  }
}

/// lambda = 4, 2, 1/2 of N = 3 examples and P = 5 parameters: tr = 6.5, |C|_F = sqrt(16 + 4 + 1/4) = 4.5.
const GopMoments kWide{3, 5, 6.5, 4.5, 1.25};

TEST(Metrics, MoreParametersThanExamples) {
  const Metrics m(kWide, {4, 2, 0.5}, 3, {2, 1e-6, 0.5});
  EXPECT_DOUBLE_EQ(m["gop_trace"], 6.5);
  EXPECT_DOUBLE_EQ(m["gop_frobenius_norm"], 4.5);
  EXPECT_DOUBLE_EQ(m["gop_spectral_norm"], 4);
  EXPECT_DOUBLE_EQ(m["gop_nuclear_norm"], 6.5);
  EXPECT_DOUBLE_EQ(m["gop_mean_gradient_norm"], 1.25);
  EXPECT_DOUBLE_EQ(m["gop_stable_rank"], 1.625);
  EXPECT_DOUBLE_EQ(m["gop_participation_ratio"], 42.25 / 20.25);
  EXPECT_DOUBLE_EQ(m["gop_rank"], 3);
  EXPECT_DOUBLE_EQ(m["gop_condition_number"], 8);
  EXPECT_EQ(m["gop_singular"], 1);
  EXPECT_EQ(m["gop_log_determinant"], -kInfinity);
  EXPECT_EQ(m["gop_determinant"], 0);
  EXPECT_DOUBLE_EQ(m["gop_log_pseudo_determinant"], std::log(4.0));
  EXPECT_DOUBLE_EQ(m["gop_logdet_regularised"], std::log(90.0));  // (1 + 8)(1 + 4)(1 + 1)
  EXPECT_DOUBLE_EQ(m["gop_top_k_cumulative_variance"], 6 / 6.5);
}

TEST(Metrics, EigenvalueStatisticsCountTheZerosOfAllParameters) {
  const Metrics m(kWide, {4, 2, 0.5}, 3, {});
  EXPECT_DOUBLE_EQ(m["gop_eigenvalue_max"], 4);
  EXPECT_EQ(m["gop_eigenvalue_min"], 0);
  EXPECT_DOUBLE_EQ(m["gop_eigenvalue_mean"], 1.3);             // 6.5 / 5
  EXPECT_DOUBLE_EQ(m["gop_eigenvalue_std"], std::sqrt(2.36));  // 20.25 / 5 - 1.69
}

TEST(Metrics, EntropyRankIsTheExponentialOfTheEntropy) {
  const Metrics m(kWide, {4, 2, 0.5}, 3, {});
  const double entropy = 8.0 / 13 * std::log(13.0 / 8) + 4.0 / 13 * std::log(13.0 / 4) + std::log(13.0) / 13;
  EXPECT_NEAR(m["gop_entropy_rank"], std::exp(entropy), 1e-14);
  const Metrics flat({4, 4, 8, 4, 0}, {2, 2, 2, 2}, 4, {});
  EXPECT_NEAR(flat["gop_entropy_rank"], 4, 1e-14);
  EXPECT_DOUBLE_EQ(flat["gop_stable_rank"], 4);
  EXPECT_DOUBLE_EQ(flat["gop_participation_ratio"], 4);
}

TEST(Metrics, MoreExamplesThanParameters) {
  // The Gram side brings N = 4 values of which P = 2 count; lambda = 3, 1.
  const GopMoments moments{4, 2, 4, std::sqrt(10.0), 0};
  const Metrics m(moments, {3, 1, 2e-17, -1e-17}, 4, {3, 1e-6, 1});
  EXPECT_EQ(m["gop_singular"], 0);
  EXPECT_DOUBLE_EQ(m["gop_log_determinant"], std::log(3.0));
  EXPECT_DOUBLE_EQ(m["gop_determinant"], 3);
  EXPECT_DOUBLE_EQ(m["gop_log_pseudo_determinant"], std::log(3.0));
  EXPECT_DOUBLE_EQ(m["gop_logdet_regularised"], std::log(8.0));
  EXPECT_DOUBLE_EQ(m["gop_eigenvalue_min"], 1);
  EXPECT_DOUBLE_EQ(m["gop_eigenvalue_mean"], 2);
  EXPECT_DOUBLE_EQ(m["gop_eigenvalue_std"], 1);  // 10 / 2 - 4
  EXPECT_DOUBLE_EQ(m["gop_condition_number"], 3);
  EXPECT_DOUBLE_EQ(m["gop_rank"], 2);
  expect_values(m.vector("eigenvalues"), {3, 1});
  expect_values(m.vector("eigenvalues_top_k"), {3, 1, kMissing});
}

TEST(Metrics, ARankDeficientMatrixIsSingularButHasAPseudoDeterminant) {
  const Metrics m({3, 3, 2.5, std::sqrt(4.25), 0}, {2, 0.5, 1e-20}, 3, {10, 1e-6, 1});
  EXPECT_EQ(m["gop_singular"], 1);
  EXPECT_EQ(m["gop_log_determinant"], -kInfinity);
  EXPECT_EQ(m["gop_determinant"], 0);
  EXPECT_DOUBLE_EQ(m["gop_rank"], 2);
  EXPECT_DOUBLE_EQ(m["gop_condition_number"], 4);
  EXPECT_NEAR(m["gop_log_pseudo_determinant"], 0, 1e-15);  // log 2 + log 1/2
  EXPECT_EQ(m["gop_eigenvalue_min"], 1e-20);
}

TEST(Metrics, NegativeRoundingIsPublishedAsComputed) {
  const Metrics m({2, 2, 2, 2, 0}, {2, -1e-17}, 2, {2, 1e-6, 1});
  EXPECT_EQ(m["gop_eigenvalue_min"], -1e-17);
  expect_values(m.vector("eigenvalues"), {2, -1e-17});
  EXPECT_EQ(m["gop_singular"], 1);
  EXPECT_DOUBLE_EQ(m["gop_rank"], 1);
  EXPECT_DOUBLE_EQ(m["gop_condition_number"], 1);
  EXPECT_DOUBLE_EQ(m["gop_entropy_rank"], 1);
  EXPECT_DOUBLE_EQ(m["gop_logdet_regularised"], std::log(3.0));
}

TEST(Metrics, AllZeroGradients) {
  const Metrics m({3, 2, 0, 0, 0}, {0, 0, 0}, 3, {2, 1e-6, 1e-6});
  EXPECT_EQ(m["gop_rank"], 0);
  EXPECT_TRUE(std::isnan(m["gop_condition_number"]));
  EXPECT_EQ(m["gop_log_pseudo_determinant"], 0);
  EXPECT_EQ(m["gop_singular"], 1);
  EXPECT_EQ(m["gop_log_determinant"], -kInfinity);
  EXPECT_EQ(m["gop_logdet_regularised"], 0);
  for (const char* name :
       {"gop_trace", "gop_frobenius_norm", "gop_spectral_norm", "gop_nuclear_norm", "noise_floor",
        "gop_eigenvalue_max", "gop_eigenvalue_min", "gop_eigenvalue_mean", "gop_eigenvalue_std"}) {
    EXPECT_EQ(m[name], 0) << name;
  }
  for (const char* name :
       {"gop_stable_rank", "gop_participation_ratio", "gop_entropy_rank", "gop_top_k_cumulative_variance"}) {
    EXPECT_TRUE(std::isnan(m[name])) << name;
  }
  for (const double value : m.vector("gop_rank_curve")) EXPECT_TRUE(std::isnan(value));
  expect_values(m.vector("eigenvalues"), {0, 0});
}

TEST(Metrics, TheRankCountsWhatIsStrictlyAboveTheThreshold) {
  const GopMoments moments{3, 3, 7, std::sqrt(21.0), 0};
  EXPECT_EQ(Metrics(moments, {4, 2, 1}, 3, {3, 0.25, 1})["gop_rank"], 2);
  EXPECT_EQ(Metrics(moments, {4, 2, 1}, 3, {3, 0.2499, 1})["gop_rank"], 3);
  EXPECT_DOUBLE_EQ(Metrics(moments, {4, 2, 1}, 3, {3, 0.25, 1})["gop_condition_number"], 2);
  EXPECT_DOUBLE_EQ(Metrics(moments, {4, 2, 1}, 3, {3, 0.25, 1})["gop_log_pseudo_determinant"], std::log(8.0));
}

TEST(Metrics, TheRankCurveIsMissingBelowTheNoiseFloor) {
  const std::vector<double> values{1, 5e-3, 5e-5, 5e-7, 5e-9, 5e-11, 5e-13, 5e-15};
  const GopMoments moments{8, 9, 1.00505, 1, 0};
  // Side 8: floor 4 * 8 * 2.2e-16 = 7.1e-15, below every threshold; side 100: 8.9e-14; side 10,000: 8.9e-12.
  expect_values(Metrics(moments, values, 8, {}).vector("gop_rank_curve"), {1, 2, 3, 4, 5, 6, 7});
  expect_values(Metrics(moments, values, 100, {}).vector("gop_rank_curve"), {1, 2, 3, 4, 5, 6, kMissing});
  expect_values(Metrics(moments, values, 10000, {}).vector("gop_rank_curve"),
                {1, 2, 3, 4, 5, kMissing, kMissing});
}

TEST(Metrics, TheRankIsMissingWhereItsThresholdIsBelowTheNoiseFloor) {
  // Side 100: the floor is 8.9e-14, and 2e-14 is noise.
  const GopMoments moments{3, 3, 1.5, std::sqrt(1.25), 0};
  const std::vector<double> values{1, 0.5, 2e-14};
  for (const char* name : {"gop_rank", "gop_condition_number", "gop_log_pseudo_determinant"}) {
    EXPECT_TRUE(std::isnan(Metrics(moments, values, 100, {3, 1e-14, 1})[name])) << name;
    EXPECT_FALSE(std::isnan(Metrics(moments, values, 100, {3, 1e-13, 1})[name])) << name;
  }
  EXPECT_EQ(Metrics(moments, values, 100, {3, 1e-13, 1})["gop_rank"], 2);
  EXPECT_EQ(Metrics({3, 2, 0, 0, 0}, {0, 0, 0}, 3, {2, 1e-20, 1})["gop_rank"], 0) << "all zero gradients have a rank";
}

TEST(Metrics, TheNoiseFloorIsFourNEpsLambda) {
  EXPECT_DOUBLE_EQ(noise_floor(3, 50), 4 * 50 * kEps * 3);
  EXPECT_DOUBLE_EQ(Metrics(kWide, {4, 2, 0.5}, 7, {})["noise_floor"], 4 * 7 * kEps * 4);
  // Singular by this floor and no other: 1e-14 is above 4 * 2 eps, and below 4 * 100 eps.
  const GopMoments moments{2, 2, 1, 1, 0};
  EXPECT_EQ(Metrics(moments, {1, 1e-14}, 2, {})["gop_singular"], 0);
  EXPECT_EQ(Metrics(moments, {1, 1e-14}, 100, {})["gop_singular"], 1);
}

TEST(Metrics, TheDeterminantMayUnderflowWhereItsLogarithmDoesNot) {
  const Metrics m({9, 3, 3e-150, 1e-150 * std::sqrt(3.0), 0}, {1e-150, 1e-150, 1e-150}, 3, {});
  EXPECT_NEAR(m["gop_log_determinant"], -450 * std::log(10.0), 1e-10);
  EXPECT_EQ(m["gop_determinant"], 0);
  EXPECT_EQ(m["gop_singular"], 0);
}

TEST(Metrics, TopValuesArePaddedWithNaN) {
  expect_values(top_values({3, 2, 1}, 2), {3, 2});
  expect_values(top_values({3, 2}, 4), {3, 2, kMissing, kMissing});
}

TEST(Metrics, WhatNeedsAllEigenvaluesIsMissingWhenOnlyTheTopIsKnown) {
  const Metrics m(kWide, {4, 2}, 3, {2, 1e-6, 1});
  for (const char* name : {"gop_rank", "gop_condition_number", "gop_log_pseudo_determinant",
                           "gop_logdet_regularised", "gop_entropy_rank"}) {
    EXPECT_TRUE(std::isnan(m[name])) << name;
  }
  for (const double value : m.vector("gop_rank_curve")) EXPECT_TRUE(std::isnan(value));
  expect_values(m.vector("eigenvalues"), {4, 2, kMissing});
  EXPECT_DOUBLE_EQ(m["gop_top_k_cumulative_variance"], 6 / 6.5);
  EXPECT_EQ(m["gop_eigenvalue_min"], 0);
  EXPECT_EQ(m["gop_singular"], 1);
  const Metrics tall({5, 3, 6.5, 4.5, 0}, {4, 2}, 3, {2, 1e-6, 1});
  for (const char* name : {"gop_eigenvalue_min", "gop_singular", "gop_log_determinant", "gop_determinant"}) {
    EXPECT_TRUE(std::isnan(tall[name])) << name;
  }
}

TEST(Metrics, MoreParametersThanExamplesAreSingularWhateverIsKnown) {
  const Metrics m(kWide, {4, 2}, 3, {2, 1e-6, 1});
  EXPECT_EQ(m["gop_log_determinant"], -kInfinity);
  EXPECT_EQ(m["gop_determinant"], 0);
}

TEST(Metrics, LayersCarryTheirPrefixAndEveryNumberItsDefinition) {
  Record record;
  add_moment_metrics(record, "layers/embed/", kWide, 4);
  add_spectrum_metrics(record, "layers/embed/", kWide, {4, 2, 0.5}, 3, {});
  EXPECT_DOUBLE_EQ(record.value_of("layers/embed/gop_trace"), 6.5);
  EXPECT_DOUBLE_EQ(record.value_of("layers/embed/gop_rank"), 3);
  for (const auto& m : record.measurements) {
    EXPECT_EQ(m.quantity.path.rfind("layers/embed/", 0), 0u) << m.quantity.path;
    EXPECT_FALSE(m.quantity.long_name.empty() || m.quantity.units.empty() || m.quantity.definition.empty());
  }
  EXPECT_THROW(gop_quantity("", "gop_tracee"), InternalError);
}

TEST(Metrics, ADefinitionIsThatOfItsMatrix) {
  for (const auto& [of, matrix, trace] :
       {std::tuple{Definition::second_moment, "C = (1/N) sum_i g_i g_i^T", "sum_i |g_i|^2"},
        std::tuple{Definition::covariance, "C = (1/N) sum_i (g_i - gbar)(g_i - gbar)^T", "sum_i |g_i - gbar|^2"},
        std::tuple{Definition::mean, "C = gbar gbar^T", "tr C = |gbar|^2"}}) {
    auto moments = kWide;
    moments.definition = of;
    const Metrics metrics(moments, {4, 2, 0.5}, 3, {});
    for (const auto& m : metrics.record().measurements) {
      const auto& text = m.quantity.definition;
      EXPECT_NE(text.find(matrix), std::string::npos) << m.quantity.path << ": " << text;
      if (of == Definition::mean) {
        EXPECT_EQ(text.find("P > N"), std::string::npos) << m.quantity.path << ": " << text;
        EXPECT_EQ(text.find("min(N,P)"), std::string::npos) << m.quantity.path << ": " << text;
      }
    }
    EXPECT_NE(gop_quantity("", "gop_trace", of).definition.find(trace), std::string::npos);
  }
}

TEST(Metrics, MomentsAloneLeaveTheSpectralNormOut) {
  Record record;
  add_moment_metrics(record, "", kWide, std::nullopt);
  EXPECT_DOUBLE_EQ(record.value_of("gop_participation_ratio"), 42.25 / 20.25);
  for (const auto& m : record.measurements) EXPECT_NE(m.quantity.path, "gop_spectral_norm");
}

}  // namespace
}  // namespace grokscope
