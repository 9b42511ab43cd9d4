// Does the whole measurement equal explicit per-example gradients and dense linear algebra, whatever the side, solver and
// number of ranks?
#include "gop/measured_gop_test.hpp"
#include "nn/sequence_models.hpp"

namespace grokscope {
namespace {

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
    const auto g = explicit_g(m);
    const auto reference = reference_eigenvalues(g);
    for (const char* solver : {"lapack", "two_stage", "scalapack", "elpa1", "elpa2"}) {
      auto s = settings();
      s.solver = solver;
      const auto result = measure(m, s, kLayerSpectra);
      EXPECT_EQ(result.solver, solver);
      expect_spectrum(vector_of(result.record, "eigenvalues"), reference, m.name + " " + solver);
      const auto& layers = m.model->parameters.layers();
      ASSERT_EQ(result.layer_spectra.size(), layers.size());
      for (std::size_t l = 0; l < layers.size(); ++l) {
        const auto columns = g.slice(1, layers[l].range.begin, layers[l].range.end);
        expect_spectrum(result.layer_spectra[l].eigenvalues, reference_eigenvalues(columns), layers[l].name + " " + solver);
      }
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
