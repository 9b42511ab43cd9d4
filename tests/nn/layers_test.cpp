// Building blocks against their formulas. Their per-example gradients are tested in gradients.operator, their second
// derivatives in nn.pass.
#include "nn/layers.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.hpp"
#include "nn/batched_product.hpp"
#include "nn/causal_attention.hpp"
#include "nn/sequence_models.hpp"

namespace grokscope {
namespace {

TEST(LayerNorm, EqualsItsFormula) {
  ParameterSet p;
  p.add("gain", "norm", normal_init({5}, 1, 1, "gain"));
  p.add("bias", "norm", normal_init({5}, 1, 1, "bias"));
  const auto x = normal_init({3, 2, 5}, 2, 1, "x");
  auto tape = Tape::inactive();
  const auto y = layer_norm(x, p[0], p[1], tape);
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t t = 0; t < 2; ++t) {
      double mean = 0, variance = 0;
      for (std::int64_t k = 0; k < 5; ++k) mean += x[i][t][k].item<double>() / 5;
      for (std::int64_t k = 0; k < 5; ++k) variance += std::pow(x[i][t][k].item<double>() - mean, 2) / 5;
      for (std::int64_t k = 0; k < 5; ++k) {
        const double xhat = (x[i][t][k].item<double>() - mean) / std::sqrt(variance + 1e-5);
        const double expected = p[0].value[k].item<double>() * xhat + p[1].value[k].item<double>();
        EXPECT_NEAR(y[i][t][k].item<double>(), expected, 1e-13);
      }
    }
  }
}

TEST(LayerNorm, AGainOfZeroHasAGradient) {
  const auto norm = sequence_blocks(4)[2];
  ASSERT_EQ(norm.name, "layer norm");
  auto flat = norm.model->parameters.flat();
  flat[1] = 0;
  norm.model->parameters.set_flat(flat);
  const auto pass = backward_pass(*norm.model, *norm.loss, norm.inputs, norm.targets, Taping::on);
  const auto of_gain = pass.taps.taps[0].uses[0].out.values.sum(0).reshape({-1});
  EXPECT_GT(of_gain[1].abs().item<double>(), 1e-3);
  EXPECT_LT((of_gain - pass.gradients[0]).abs().max().item<double>(), 1e-12);
}

TEST(Activations, AreWhatTheirNamesSay) {
  const auto x = at::tensor({-2.0, -0.3, 0.0, 0.7, 3.0}, at::kDouble);
  for (std::int64_t k = 0; k < 5; ++k) {
    const double v = x[k].item<double>();
    const double inner = std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v);
    EXPECT_NEAR(activate(x, "gelu")[k].item<double>(), v * 0.5 * std::erfc(-v / std::sqrt(2.0)), 1e-15);
    EXPECT_NEAR(activate(x, "gelu_tanh")[k].item<double>(), 0.5 * v * (1 + std::tanh(inner)), 1e-15);
    EXPECT_EQ(activate(x, "relu")[k].item<double>(), std::max(v, 0.0));
    EXPECT_NEAR(activate(x, "tanh")[k].item<double>(), std::tanh(v), 1e-15);
  }
  for (const auto& name : activations()) EXPECT_NO_THROW(activate(x, name));
  EXPECT_THROW(activate(x, "swish"), InternalError);
}

TEST(Positions, SinesAtEvenCosinesAtOddColumns) {
  const auto table = sinusoid_positions(4, 6);
  EXPECT_EQ(table.sizes(), at::IntArrayRef({4, 6}));
  for (std::int64_t t = 0; t < 4; ++t) {
    for (std::int64_t pair = 0; pair < 3; ++pair) {
      const double angle = static_cast<double>(t) / std::pow(10000.0, 2.0 * static_cast<double>(pair) / 6);
      EXPECT_NEAR(table[t][2 * pair].item<double>(), std::sin(angle), 1e-14);
      EXPECT_NEAR(table[t][2 * pair + 1].item<double>(), std::cos(angle), 1e-14);
    }
  }
}

TEST(BatchedProduct, EqualsMatmulForEveryLayout) {
  const auto a = normal_init({3, 2, 4, 37}, 1, 1, "a"), b = normal_init({3, 2, 37, 5}, 1, 1, "b");
  const auto expected = at::matmul(a, b);
  const auto layouts = [](const at::Tensor& t) {
    return std::vector<at::Tensor>{t, t.transpose(2, 3).contiguous().transpose(2, 3), t.transpose(1, 2).contiguous().transpose(1, 2),
                                   t.permute({3, 1, 0, 2}).contiguous().permute({2, 1, 3, 0})};
  };
  for (const auto& left : layouts(a)) {
    for (const auto& right : layouts(b)) {
      EXPECT_LT((batched_product(left, right) - expected).abs().max().item<double>(), 1e-13);
    }
  }
  const auto single = batched_product(a.to(at::kFloat), b.to(at::kFloat));
  EXPECT_LT((single - expected).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(batched_product(a.slice(0, 0, 0), b.slice(0, 0, 0)).size(0), 0);
  EXPECT_THROW(batched_product(a, a), InternalError);
  EXPECT_THROW(batched_product(a, b.to(at::kFloat)), InternalError);
}

TEST(BatchedProduct, TakesMatricesOfOneRowColumnOrTerm) {
  for (const auto& [m, k, p] : {std::tuple{1, 5, 1}, std::tuple{4, 1, 3}, std::tuple{3, 4, 1}, std::tuple{1, 1, 1}}) {
    const auto a = normal_init({2, 2, k, m}, 1, 1, "a").transpose(2, 3), b = normal_init({2, 2, p, k}, 1, 1, "b").transpose(2, 3);
    EXPECT_LT((batched_product(a, b) - at::matmul(a, b)).abs().max().item<double>(), 1e-14) << m << k << p;
  }
}

TEST(CausalAttention, EqualsTheFormulaTokenByToken) {
  const auto m = block("", 3, 4, 6, 6, attention_shapes(6, true), {});
  const auto& p = m.model->parameters;
  const std::vector<std::int64_t> queries{1, 3};
  auto tape = Tape::inactive();
  const auto y = causal_attention(m.inputs, queries, attention_of(p, 2), TrainingNoise::none(), tape);
  const auto map = [&](std::size_t k, const at::Tensor& x) { return at::mv(p[2 * k].value, x) + p[2 * k + 1].value; };
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::size_t q = 0; q < queries.size(); ++q) {
      const auto query = map(0, m.inputs[i][queries[q]]);
      std::vector<at::Tensor> heads;
      for (std::int64_t h = 0; h < 2; ++h) {
        const auto of_head = [&](const at::Tensor& v) { return v.slice(0, 3 * h, 3 * h + 3); };
        auto total = at::zeros({3}, at::kDouble);
        double norm = 0;
        for (std::int64_t t = 0; t <= queries[q]; ++t) {
          const auto key = of_head(map(1, m.inputs[i][t]));
          const double e = std::exp(of_head(query).dot(key).item<double>() / std::sqrt(3.0));
          norm += e;
          total = total + e * of_head(map(2, m.inputs[i][t]));
        }
        heads.push_back(total / norm);
      }
      const auto expected = map(3, at::cat(heads));
      EXPECT_LT((y[i][static_cast<std::int64_t>(q)] - expected).abs().max().item<double>(), 1e-13);
    }
  }
}

}  // namespace
}  // namespace grokscope
