// Do covariance and mean gradient, beside the second moment or in its place, equal explicit gradients?
#include "gop/measured_gop_test.hpp"

namespace grokscope {
namespace {

TEST_F(GopTest, OtherDefinitionsEqualExplicitGradients) {
  for (const auto& m : small_models()) {
    const auto g = explicit_g(m);
    const auto mean = g.mean(0, true);
    const auto centred = g - mean;
    for (const char* path : {"gram", "dense"}) {
      auto s = settings(path);
      s.definitions = {"second_moment", "covariance", "mean"};
      const auto record = measure(m, s, kCovarianceSpectrum).record;
      auto expected = reference_metrics(centred, norm_of(mean), kOptions);
      expect_metrics(record, "definitions/covariance/", expected, m.name + " " + path);
      expect_spectrum(vector_of(record, "definitions/covariance/eigenvalues"), reference_eigenvalues(centred),
                      m.name);
      const auto of_mean = reference_metrics(mean, norm_of(mean), kOptions);
      expect_metrics(record, "definitions/mean/", of_mean, m.name + " " + path);
      EXPECT_EQ(record.value_of("definitions/mean/gop_rank"), 1);
    }
  }
}

TEST_F(GopTest, WithoutItsSpectrumACovarianceStillHasItsMoments) {
  const auto m = small_mlp(23);
  const auto g = explicit_g(m);
  auto s = settings();
  s.definitions = {"second_moment", "covariance"};
  const auto record = measure(m, s).record;
  const auto expected = reference_metrics(g - g.mean(0, true), norm_of(g.mean(0)), kOptions);
  for (const char* name : {"gop_trace", "gop_frobenius_norm", "gop_participation_ratio"}) {
    EXPECT_NEAR(record.value_of("definitions/covariance/" + std::string(name)), expected.at(name),
                1e-10 * expected.at(name));
  }
  EXPECT_TRUE(std::isnan(record.value_of("definitions/covariance/gop_rank")));
}

TEST_F(GopTest, PrimaryCovariance) {
  for (const auto& m : small_models()) {
    const auto g = explicit_g(m);
    const auto centred = g - g.mean(0, true);
    for (const char* path : {"gram", "dense"}) {
      auto s = settings(path);
      s.definitions = {"covariance", "second_moment"};
      const auto result = measure(m, s);
      expect_metrics(result.record, "", reference_metrics(centred, norm_of(g.mean(0)), kOptions),
                     m.name + path);
      const auto vectors = whole_vectors(result.subspace, g.size(1));
      const auto v_1 = reference_eigenvectors(centred).select(1, 0);
      EXPECT_NEAR(std::abs(v_1.dot(vectors.select(1, 0)).item<double>()), 1, 1e-10) << m.name << " " << path;
      const double along = g.mean(0).dot(v_1).item<double>() / norm_of(g.mean(0));
      EXPECT_NEAR(result.record.value_of("gop_mean_gradient_alignment"), along * along, 1e-9)
          << m.name << " " << path;
      const double trace = result.record.value_of("definitions/second_moment/gop_trace");
      const double expected = g.square().sum().item<double>() / static_cast<double>(g.size(0));
      EXPECT_NEAR(trace, expected, 1e-10 * expected);
    }
  }
}

TEST_F(GopTest, PrimaryMeanHasTheWholeSpectrumInOneNumber) {
  for (const auto& m : small_models()) {
    const auto mean = explicit_g(m).mean(0, true);
    for (const char* path : {"gram", "dense"}) {
      auto s = settings(path);
      s.definitions = {"mean"};
      const auto result = measure(m, s);
      ASSERT_EQ(result.eigenvalues.size(), 1u);
      EXPECT_NEAR(result.eigenvalues.front(), mean.square().sum().item<double>(), 1e-10 * result.eigenvalues.front());
      expect_metrics(result.record, "", reference_metrics(mean, norm_of(mean), kOptions), m.name);
      EXPECT_NEAR(result.record.value_of("gop_mean_gradient_alignment"), 1, 1e-10) << m.name;
      EXPECT_LT(result.record.value_of("checks/mean_gradient_residual"), 1e-10) << m.name << " " << path;
      // No eigensolver ran: a zero here would claim that its answer had been checked.
      EXPECT_TRUE(std::isnan(result.record.value_of("checks/trace_residual"))) << m.name;
    }
  }
}

TEST_F(GopTest, EveryNumberSaysWhichMatrixItIsOf) {
  const std::map<std::string, std::string> matrices{{"second_moment", "C = (1/N) sum_i g_i g_i^T"},
                                                    {"covariance", "C = (1/N) sum_i (g_i - gbar)(g_i - gbar)^T"},
                                                    {"mean", "C = gbar gbar^T"}};
  const auto m = small_mlp(23);
  for (const auto& [primary, of_primary] : matrices) {
    auto s = settings();
    s.definitions = {primary};
    for (const auto& [other, matrix] : matrices) {
      if (other != primary) s.definitions.push_back(other);
    }
    for (const auto& measured : measure(m, s, kEverySpectrum).record.measurements) {
      const auto& path = measured.quantity.path;
      if (path.starts_with("checks/")) continue;
      auto expected = of_primary;
      if (path.starts_with("layers/")) expected = matrices.at("second_moment");
      for (const auto& [other, matrix] : matrices) {
        if (path.starts_with("definitions/" + other + "/")) expected = matrix;
      }
      EXPECT_NE(measured.quantity.definition.find(expected), std::string::npos)
          << primary << ", " << path << ": " << measured.quantity.definition;
    }
  }
}

}  // namespace
}  // namespace grokscope
