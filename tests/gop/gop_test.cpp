// The whole measurement against explicit per-example gradients and dense linear algebra in float64, and
// against cases whose answer is known without computing: orthonormal gradients, repeated examples, one
// example, none that differs from 0.
#include "gop/gop.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "every_rank_test.hpp"
#include "gop/reference_metrics.hpp"
#include "gop/small_models.hpp"
#include "gradients/explicit_gradients.hpp"
#include "nn/sequence_models.hpp"

namespace grokscope {
namespace {

const MetricOptions kOptions{6, 1e-6, 1e-3};
const GopRequest kLayerSpectra{true, false, std::nullopt};
const GopRequest kCovarianceSpectrum{false, true, std::nullopt};
const GopRequest kEverySpectrum{true, true, std::nullopt};

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

const std::vector<double>& vector_of(const Record& record, const std::string& path) {
  for (const auto& m : record.measurements) {
    if (m.is_vector && m.quantity.path == path) return m.values;
  }
  throw InternalError("no vector " + path);
}

/// Compares eigenvalues with the leading ones of the reference, to 1e-10 of the largest.
void expect_spectrum(const std::vector<double>& values, const at::Tensor& reference,
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
void expect_metrics(const Record& record, const std::string& prefix,
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

double norm_of(const at::Tensor& t) {
  return t.norm().item<double>();
}

TEST_F(GopTest, EveryMetricEqualsExplicitGradients) {
  for (const auto& m : small_models()) {
    const auto g = explicit_g(m);
    const auto expected = reference_metrics(g, norm_of(g.mean(0)), kOptions);
    for (const char* path : {"gram", "dense"}) {
      const auto where = m.name + " " + path;
      const auto result = measure(m, settings(path));
      EXPECT_EQ(result.path, path);
      expect_metrics(result.record, "", expected, where);
      const auto reference = reference_eigenvalues(g);
      expect_spectrum(result.eigenvalues, at::cat({reference, at::zeros({g.size(0)}, at::kDouble)}), where);
      const auto& stored = vector_of(result.record, "eigenvalues");
      ASSERT_EQ(static_cast<std::int64_t>(stored.size()), std::min(g.size(0), g.size(1)));
      expect_spectrum(stored, reference, where);
      for (const char* check :
           {"mean_gradient_residual", "trace_residual", "norm_residual", "eigenpair_residual"}) {
        const double residual = result.record.value_of("checks/" + std::string(check));
        EXPECT_LT(residual, 1e-10) << where << " " << check;
      }
    }
  }
}

TEST_F(GopTest, TheSpectrumHandedToFilesHasMinNPValues) {
  for (const auto& m : small_models()) {
    const auto smaller = std::min(m.inputs.size(0), m.model->parameters.total());
    for (const char* path : {"gram", "dense"}) {
      EXPECT_EQ(static_cast<std::int64_t>(measure(m, settings(path)).eigenvalues.size()), smaller)
          << m.name << " " << path;
    }
  }
}

TEST_F(GopTest, LayersEqualExplicitGradients) {
  for (const auto& m : small_models()) {
    const auto g = explicit_g(m);
    for (const char* path : {"auto", "gram", "dense"}) {
      const auto result = measure(m, settings(path), kLayerSpectra);
      const auto& layers = m.model->parameters.layers();
      ASSERT_EQ(result.layer_spectra.size(), layers.size());
      for (std::size_t l = 0; l < layers.size(); ++l) {
        const auto columns = g.slice(1, layers[l].range.begin, layers[l].range.end);
        const auto where = m.name + " " + path + " " + layers[l].name;
        const auto& spectrum = result.layer_spectra[l];
        EXPECT_EQ(spectrum.name, layers[l].name);
        ASSERT_EQ(static_cast<std::int64_t>(spectrum.eigenvalues.size()),
                  std::min(g.size(0), columns.size(1)));
        expect_spectrum(spectrum.eigenvalues, reference_eigenvalues(columns), where);
        expect_metrics(result.record, "layers/" + layers[l].name + "/",
                       reference_metrics(columns, norm_of(columns.mean(0)), kOptions), where);
      }
    }
  }
}

TEST_F(GopTest, LayerNormsDoNotNeedTheirSpectra) {
  for (const auto& m : small_models()) {
    const auto g = explicit_g(m);
    for (const char* path : {"gram", "dense"}) {
      const auto result = measure(m, settings(path));
      EXPECT_TRUE(result.layer_spectra.empty());
      double sum_of_traces = 0;
      for (const auto& layer : m.model->parameters.layers()) {
        const auto columns = g.slice(1, layer.range.begin, layer.range.end);
        const auto expected = reference_metrics(columns, norm_of(columns.mean(0)), kOptions);
        for (const char* name : {"gop_trace", "gop_frobenius_norm", "gop_participation_ratio",
                                 "gop_spectral_norm", "gop_stable_rank", "gop_mean_gradient_norm"}) {
          const double value = result.record.value_of("layers/" + layer.name + "/" + name);
          EXPECT_NEAR(value, expected.at(name), 1e-10 * expected.at(name))
              << m.name << " " << layer.name << " " << name;
        }
        sum_of_traces += result.record.value_of("layers/" + layer.name + "/gop_trace");
      }
      const double trace = result.record.value_of("gop_trace");
      EXPECT_NEAR(sum_of_traces, trace, 1e-12 * trace);
    }
  }
}

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

TEST_F(GopTest, EigenvectorsOfBothSides) {
  for (const auto& m : small_models()) {
    const auto g = explicit_g(m);
    const auto n = g.size(0);
    const auto gram = g.mm(g.t()) / static_cast<double>(n), gop = g.t().mm(g) / static_cast<double>(n);
    for (const char* path : {"gram", "dense"}) {
      const auto result = measure(m, settings(path));
      const auto where = m.name + " " + path;
      ASSERT_EQ(result.k, std::min({kOptions.top_k, n, g.size(1)})) << where;
      ASSERT_EQ(result.subspace.count, result.k) << where;
      ASSERT_EQ(static_cast<std::int64_t>(result.gram_vectors.size()), n * result.k);
      const auto u =
          at::from_blob(const_cast<double*>(result.gram_vectors.data()), {result.k, n}, at::kDouble).t();
      const auto v = whole_vectors(result.subspace, g.size(1));
      const double largest = result.eigenvalues.front();
      for (std::int64_t j = 0; j < result.k; ++j) {
        const double lambda = result.eigenvalues[static_cast<std::size_t>(j)];
        const double amplified = std::sqrt(largest / lambda);  // a vector carried over to the other side
        const auto uj = u.select(1, j), vj = v.select(1, j);
        EXPECT_NEAR(norm_of(uj), 1, 1e-12) << where;
        EXPECT_NEAR(norm_of(vj), 1, 1e-12) << where;
        EXPECT_LT(norm_of(gram.mv(uj) - lambda * uj) / largest, 1e-10 * amplified) << where << " u " << j;
        EXPECT_LT(norm_of(gop.mv(vj) - lambda * vj) / largest, 1e-10 * amplified) << where << " v " << j;
        const auto carried = g.t().mv(uj) / std::sqrt(static_cast<double>(n) * lambda);
        EXPECT_NEAR(carried.dot(vj).item<double>(), 1, 1e-9)
            << where << ": u and v have different signs or indices, " << j;
      }
      const auto v_1 = reference_eigenvectors(g).select(1, 0);
      const double along = g.mean(0).dot(v_1).item<double>() / norm_of(g.mean(0));
      EXPECT_NEAR(result.record.value_of("gop_mean_gradient_alignment"), along * along, 1e-9) << where;
    }
  }
}

TEST_F(GopTest, SubspaceOverlapBetweenTwoMoments) {
  for (const auto& m : small_models()) {
    auto& parameters = m.model->parameters;
    const auto before = parameters.flat();
    const auto vectors_before = reference_eigenvectors(explicit_g(m)).slice(1, 0, kOptions.top_k);
    for (const char* path : {"gram", "dense"}) {
      const auto first = measure(m, settings(path));
      EXPECT_TRUE(std::isnan(first.record.value_of("gop_subspace_overlap")));
      const auto again = measure(m, settings(path), {}, &first.subspace);
      EXPECT_NEAR(again.record.value_of("gop_subspace_overlap"), 1, 1e-10);
      parameters.set_flat(before + normal_init({parameters.total()}, 0.3, 8, "move"));
      const auto second = measure(m, settings(path), {}, &first.subspace);
      const auto cross =
          vectors_before.t().mm(reference_eigenvectors(explicit_g(m)).slice(1, 0, kOptions.top_k));
      const double expected = cross.square().sum().item<double>() / static_cast<double>(first.k);
      EXPECT_LT(expected, 0.999) << m.name << ": the test's own move is too small";
      EXPECT_NEAR(second.record.value_of("gop_subspace_overlap"), expected, 1e-8) << m.name << " " << path;
      parameters.set_flat(before);
    }
  }
}

TEST_F(GopTest, GramAndDensePathsAgree) {
  for (const auto& m : small_models()) {
    const auto gram = measure(m, settings("gram")), dense = measure(m, settings("dense"));
    const auto& a = vector_of(gram.record, "eigenvalues");
    const auto& b = vector_of(dense.record, "eigenvalues");
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t j = 0; j < a.size(); ++j)
      EXPECT_NEAR(a[j], b[j], 1e-10 * a.front()) << m.name << " " << j;
  }
}

TEST_F(GopTest, TheDenseSideFormsItsLayersWithTheWhole) {
  const auto m = small_transformer(19);
  ASSERT_GT(m.model->parameters.layers().size(), 1U);
  const auto g = gradients_of(comm, m);
  const auto looks = [&](bool layers) {
    auto chosen = settings("dense");
    chosen.layers = layers;
    GopMeter meter(comm, m.model->parameters.layers(), chosen, log);
    int count = 0;
    meter.measure(g, {}, nullptr, timers, [&] { ++count; });
    meter.release();
    return count;
  };
  EXPECT_EQ(looks(true), looks(false)) << "every chunk of examples that is multiplied out polls once";
}

TEST_F(GopTest, EverySolverByName) {
  for (const auto& m : {small_transformer(40), small_linear(50, 12, 3)}) {
    const auto reference = reference_eigenvalues(explicit_g(m));
    for (const char* solver : {"lapack", "two_stage", "scalapack", "elpa1", "elpa2"}) {
      auto s = settings();
      s.solver = solver;
      const auto result = measure(m, s, kLayerSpectra);
      EXPECT_EQ(result.solver, solver);
      expect_spectrum(vector_of(result.record, "eigenvalues"), reference, m.name + " " + solver);
    }
  }
  auto s = settings();
  s.solver = "lapak";
  EXPECT_THROW(measure(small_mlp(12), s), UserError);
}

TEST_F(GopTest, TopOfTheSpectrumOnly) {
  for (const auto& m : small_models()) {
    const auto reference = reference_eigenvalues(explicit_g(m));
    for (const char* path : {"gram", "dense"}) {
      auto s = settings(path);
      s.spectrum = "top_k";
      const auto result = measure(m, s);
      ASSERT_EQ(static_cast<std::int64_t>(result.eigenvalues.size()), kOptions.top_k);
      expect_spectrum(result.eigenvalues, reference, m.name);
      expect_spectrum(vector_of(result.record, "eigenvalues_top_k"), reference, m.name);
      const auto& stored = vector_of(result.record, "eigenvalues");
      for (std::size_t j = result.eigenvalues.size(); j < stored.size(); ++j)
        EXPECT_TRUE(std::isnan(stored[j]));
      EXPECT_TRUE(std::isnan(result.record.value_of("gop_rank")));
      EXPECT_TRUE(std::isnan(result.record.value_of("checks/norm_residual")));
      const auto full = measure(m, settings(path));
      EXPECT_DOUBLE_EQ(result.record.value_of("gop_trace"), full.record.value_of("gop_trace"));
    }
  }
}

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
  }
}

TEST_F(GopTest, NotANumberIsAnErrorAndNotAHang) {
  auto g = normal_init({6, 8}, 1, 4, "nan");
  g.index_put_({at::tensor(2, at::kLong), at::tensor(3, at::kLong)},
               at::scalar_tensor(kMissing, at::kDouble));
  for (const char* path : {"gram", "dense"}) EXPECT_THROW(measure_given(g, settings(path)), EnvironmentError);
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

TEST_F(GopTest, TheCheckAgainstAutogradSeesAWrongGradient) {
  const auto m = small_mlp(23);
  const double square = explicit_g(m).sum(0).square().sum().item<double>();
  for (const char* path : {"gram", "dense"}) {
    const auto right = measure(m, settings(path), {.autograd_square = square});
    EXPECT_LT(right.record.value_of("checks/autograd_residual"), 1e-12) << path;
    const auto wrong = measure(m, settings(path), {.autograd_square = 1.01 * square});
    const double trace = 23 * right.record.value_of("gop_trace");
    EXPECT_NEAR(wrong.record.value_of("checks/autograd_residual"), 0.01 * square / (23 * trace), 1e-12)
        << path;
    EXPECT_TRUE(std::isnan(measure(m, settings(path)).record.value_of("checks/autograd_residual")));
  }
}

TEST_F(GopTest, AParameterWithoutAKernelIsMeasuredAndReported) {
  const auto blocks = sequence_blocks(13);
  const auto m = std::find_if(blocks.begin(), blocks.end(), [](const auto& b) { return b.name == "no kernel"; });
  ASSERT_NE(m, blocks.end());
  const auto g = explicit_g(*m);
  const auto expected = reference_metrics(g, norm_of(g.mean(0)), kOptions);
  for (const char* path : {"gram", "dense"}) expect_metrics(measure(*m, settings(path)).record, "", expected, path);
  ASSERT_EQ(log.warnings().size(), 2u) << "one for each of s and t, none for W";
  EXPECT_NE(log.warnings()[0].text.find("no kernel for s"), std::string::npos);
  EXPECT_NE(log.warnings()[1].text.find("no kernel for t"), std::string::npos);
}

TEST_F(GopTest, SequenceModelsEqualExplicitGradients) {
  for (const auto& m : small_transformers(17)) {
    const auto g = explicit_g(m);
    const auto expected = reference_metrics(g, norm_of(g.mean(0)), kOptions);
    const auto result = measure(m, settings("gram"), kLayerSpectra);
    expect_metrics(result.record, "", expected, m.name);
    for (const auto& layer : m.model->parameters.layers()) {
      const double trace = g.slice(1, layer.range.begin, layer.range.end).square().sum().item<double>() / 17;
      EXPECT_NEAR(result.record.value_of("layers/" + layer.name + "/gop_trace"), trace, 1e-10 * trace) << layer.name;
    }
  }
  EXPECT_TRUE(log.warnings().empty());
}

TEST_F(GopTest, MeasuringTwiceGivesTheSameBits) {
  const auto m = small_transformer(19);
  const auto first = measure(m, settings("gram")), second = measure(m, settings("gram"));
  EXPECT_EQ(first.eigenvalues, second.eigenvalues);
  EXPECT_TRUE(first.subspace.vectors.equal(second.subspace.vectors));
}

}  // namespace
}  // namespace grokscope
