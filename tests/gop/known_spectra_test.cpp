// Is the measurement right where the answer is known without computing? Orthonormal, repeated, scaled and single gradients,
// none that differs from 0, rank two, no number, and the closed form of a linear model.
#include "gop/measured_gop_test.hpp"

namespace grokscope {
namespace {

TEST_F(GopTest, OrthonormalGradientsHaveNEqualEigenvalues) {
  const std::int64_t n = 9, p = 14;
  const auto q = std::get<0>(at::linalg_qr(normal_init({p, n}, 1, 3, "q"), "reduced")).t().contiguous();
  for (const char* path : {"gram", "dense"}) {
    const auto result = measure_given(q, settings(path));
    for (const double value : vector_of(result.record, "eigenvalues")) EXPECT_NEAR(value, 1.0 / 9, 1e-14);
    EXPECT_NEAR(result.record.value_of("gop_trace"), 1, 1e-14);
    EXPECT_EQ(result.record.value_of("gop_rank"), 9);
    EXPECT_NEAR(result.record.value_of("gop_condition_number"), 1, 1e-12);
    EXPECT_NEAR(result.record.value_of("gop_stable_rank"), 9, 1e-12);
    EXPECT_NEAR(result.record.value_of("gop_entropy_rank"), 9, 1e-12);
    EXPECT_NEAR(result.record.value_of("gop_log_pseudo_determinant"), -9 * std::log(9.0), 1e-12);
  }
}

TEST_F(GopTest, DuplicatingEveryExampleChangesNothing) {
  const auto m = small_transformer(13);
  auto twice = m;
  twice.inputs = at::cat({m.inputs, m.inputs});
  twice.targets = at::cat({m.targets, m.targets});
  for (const char* path : {"gram", "dense"}) {
    const auto once = measure(m, settings(path)), doubled = measure(twice, settings(path));
    expect_spectrum(once.eigenvalues, reference_eigenvalues(explicit_g(twice)), path);
    for (const char* name : {"gop_trace", "gop_frobenius_norm", "gop_spectral_norm", "gop_rank",
                             "gop_stable_rank", "gop_eigenvalue_mean", "gop_eigenvalue_std",
                             "gop_mean_gradient_norm", "gop_mean_gradient_alignment", "gop_entropy_rank"}) {
      const double expected = once.record.value_of(name);
      EXPECT_NEAR(doubled.record.value_of(name), expected, 1e-10 * std::abs(expected)) << name << " " << path;
    }
  }
}

TEST_F(GopTest, ScalingGradientsScalesTheSpectrumBySquares) {
  const auto g = normal_init({11, 17}, 1, 4, "g");
  const double c = 1e-3;
  for (const char* path : {"gram", "dense"}) {
    const auto plain = measure_given(g, settings(path)), scaled = measure_given(c * g, settings(path));
    const auto expect_factor = [&](const char* name, double factor) {
      const double expected = factor * plain.record.value_of(name);
      EXPECT_NEAR(scaled.record.value_of(name), expected, 1e-11 * std::abs(expected)) << name << " " << path;
    };
    for (const char* name : {"gop_trace", "gop_frobenius_norm", "gop_spectral_norm", "gop_eigenvalue_std"}) {
      expect_factor(name, c * c);
    }
    expect_factor("gop_mean_gradient_norm", c);
    for (const char* name :
         {"gop_rank", "gop_condition_number", "gop_stable_rank", "gop_participation_ratio",
          "gop_entropy_rank", "gop_mean_gradient_alignment", "gop_top_k_cumulative_variance"}) {
      expect_factor(name, 1);
    }
  }
}

TEST_F(GopTest, OneExampleHasRankOne) {
  const auto g = normal_init({1, 12}, 1, 4, "one");
  const double square = g.square().sum().item<double>();
  for (const char* path : {"gram", "dense"}) {
    const auto result = measure_given(g, settings(path));
    EXPECT_EQ(result.record.value_of("gop_rank"), 1);
    EXPECT_EQ(result.record.value_of("gop_condition_number"), 1);
    EXPECT_NEAR(result.record.value_of("gop_log_pseudo_determinant"), std::log(square), 1e-12);
    EXPECT_NEAR(result.record.value_of("gop_mean_gradient_alignment"), 1, 1e-12);
    EXPECT_NEAR(result.eigenvalues.front(), square, 1e-12 * square);
    const auto& top = vector_of(result.record, "eigenvalues_top_k");
    ASSERT_EQ(top.size(), 6u);
    for (std::size_t j = 1; j < top.size(); ++j) EXPECT_TRUE(std::isnan(top[j]));
  }
}

TEST_F(GopTest, OneExampleHasNoCovariance) {
  auto s = settings();
  s.definitions = {"covariance"};
  const auto result = measure_given(normal_init({1, 12}, 1, 4, "one"), s);
  EXPECT_NEAR(result.record.value_of("gop_trace"), 0, 1e-14);
  EXPECT_NEAR(result.eigenvalues.front(), 0, 1e-14);
}

TEST_F(GopTest, AllZeroGradientsCrashNothing) {
  for (const char* path : {"gram", "dense"}) {
    for (const char* spectrum : {"full", "top_k"}) {
      auto s = settings(path);
      s.spectrum = spectrum;
      s.definitions = {"second_moment", "covariance"};
      const auto zero = at::zeros({7, 9}, at::kDouble);
      const auto result = measure_given(zero, s, kEverySpectrum);
      EXPECT_EQ(result.record.value_of("gop_trace"), 0);
      EXPECT_TRUE(std::isnan(result.record.value_of("gop_condition_number")));
      EXPECT_TRUE(std::isnan(result.record.value_of("gop_mean_gradient_alignment")));
      EXPECT_EQ(result.subspace.count, 0);
      for (const double value : result.gram_vectors) EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(result.subspace.vectors.isnan().all().item<bool>());
      EXPECT_TRUE(std::isnan(result.record.value_of("checks/mean_gradient_residual")));
      if (s.spectrum != "full") continue;
      EXPECT_EQ(result.record.value_of("gop_rank"), 0);
      EXPECT_EQ(result.record.value_of("gop_log_pseudo_determinant"), 0);
      EXPECT_EQ(result.record.value_of("layers/w/gop_rank"), 0);
    }
  }
}

TEST_F(GopTest, VectorsBelowTheNoiseFloorAreRefused) {
  // Rank two: five examples of two kinds.
  const auto kinds = normal_init({2, 10}, 1, 4, "kinds");
  const auto g = kinds.index_select(0, at::tensor({0, 1, 0, 1, 1}, at::kLong));
  for (const char* path : {"gram", "dense"}) {
    const auto result = measure_given(g, settings(path));
    EXPECT_EQ(result.record.value_of("gop_rank"), 2);
    EXPECT_EQ(result.subspace.count, 2);
    ASSERT_EQ(result.k, 5);
    for (std::size_t i = 0; i < result.gram_vectors.size(); ++i) {
      EXPECT_EQ(std::isnan(result.gram_vectors[i]), i >= 2 * 5) << path << " element " << i;
    }
    const auto refused = whole_vectors(result.subspace, 10).isnan();
    EXPECT_FALSE(refused.slice(1, 0, 2).any().item<bool>()) << path;
    EXPECT_TRUE(refused.slice(1, 2).all().item<bool>()) << path;
    const auto again = measure(given_gradients(comm, g), {{"w", {0, 10}}}, settings(path), {}, &result.subspace);
    EXPECT_NEAR(again.record.value_of("gop_subspace_overlap"), 1, 1e-10) << path;
  }
}

/// G, [n, p], whose GOP has these n eigenvalues.
at::Tensor gradients_with(const std::vector<double>& eigenvalues, std::int64_t p) {
  const auto n = static_cast<std::int64_t>(eigenvalues.size());
  const auto u = std::get<0>(at::linalg_qr(normal_init({n, n}, 1, 3, "u"), "reduced"));
  const auto v = std::get<0>(at::linalg_qr(normal_init({p, n}, 1, 3, "v"), "reduced"));
  return (u * (static_cast<double>(n) * at::tensor(eigenvalues, at::kDouble)).sqrt()).mm(v.t());
}

TEST_F(GopTest, VectorsThatTheToleranceOfLanczosLeavesOpenAreRefused) {
  // All eigenvalues are above the noise floor, 1.4e-13 or 1.8e-13; from the fifth on, below Lanczos's tolerance of 1e-10.
  std::vector<double> eigenvalues{1, 1e-2, 1e-4, 1e-6};
  for (int j = 0; j < 156; ++j) eigenvalues.push_back(3e-11 - j * (2e-11 / 155));
  const auto g = gradients_with(eigenvalues, 200);
  for (const char* path : {"gram", "dense"}) {
    auto s = settings(path);
    const auto first = measure_given(g, s);
    ASSERT_EQ(first.k, 6) << path;
    EXPECT_GT(first.eigenvalues[5], first.noise_floor) << path;
    EXPECT_EQ(first.subspace.count, 4) << path;
    const auto refused = whole_vectors(first.subspace, 200).isnan();
    EXPECT_FALSE(refused.slice(1, 0, 4).any().item<bool>()) << path;
    EXPECT_TRUE(refused.slice(1, 4).all().item<bool>()) << path;
    for (std::size_t i = 0; i < first.gram_vectors.size(); ++i) ASSERT_EQ(std::isnan(first.gram_vectors[i]), i >= 4 * 160) << path;
    s.seed = 1;  // other vectors to start with, and whatever is arbitrary differs
    const auto second = measure(given_gradients(comm, g), {{"w", {0, 200}}}, s, {}, &first.subspace);
    EXPECT_NEAR(second.record.value_of("gop_subspace_overlap"), 1, 1e-5) << path;
  }
}

TEST_F(GopTest, NotANumberIsAnErrorAndNotAHang) {
  auto g = normal_init({6, 8}, 1, 4, "nan");
  g.index_put_({at::tensor(2, at::kLong), at::tensor(3, at::kLong)},
               at::scalar_tensor(kMissing, at::kDouble));
  for (const char* path : {"gram", "dense"}) {
    EXPECT_THROW(measure_given(g, settings(path)), EnvironmentError);
    // The mean gradient's spectrum needs no solver: there it is an answer, and not 0.
    auto s = settings(path);
    s.definitions = {"mean"};
    const auto record = measure_given(g, s).record;
    for (const char* name : {"gop_trace", "gop_spectral_norm", "gop_mean_gradient_norm", "gop_eigenvalue_std", "gop_rank",
                             "checks/mean_gradient_residual", "layers/w/gop_trace", "layers/w/gop_spectral_norm",
                             "layers/w/gop_mean_gradient_norm"}) {
      EXPECT_TRUE(std::isnan(record.value_of(name))) << path << " " << name;
    }
  }
}

TEST_F(GopTest, TheLinearModelHasItsClosedForm) {
  for (const std::int64_t d_out : {std::int64_t{1}, std::int64_t{3}}) {
    const auto m = small_linear(14, 9, d_out);
    const auto f = m.inputs.mm(m.model->parameters[0].value.detach().t());
    const auto r = 2 * (f - m.targets) / static_cast<double>(d_out);  // d loss_i / d output
    const auto k = m.inputs.mm(m.inputs.t()) * r.mm(r.t());
    const auto expected = at::linalg_eigvalsh(k / 14.0, "L").flip(0);
    for (const char* path : {"gram", "dense"}) {
      const auto result = measure(m, settings(path));
      expect_spectrum(vector_of(result.record, "eigenvalues"), expected, path);
      const double trace = k.trace().item<double>() / 14;
      EXPECT_NEAR(result.record.value_of("gop_trace"), trace, 1e-12 * trace);
    }
  }
}

}  // namespace
}  // namespace grokscope
