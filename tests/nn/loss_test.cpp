// Losses against their formulas, and cross entropy where the formula as usually computed has no digits left.
#include "nn/loss.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "nn/parameters.hpp"

namespace grokscope {
namespace {

at::Tensor classes(std::vector<std::int64_t> values) {
  return at::tensor(values, at::kLong);
}

struct Seed {
  double value;
  at::Tensor gradient;  ///< d loss / d logits, float64
};

Seed loss_and_gradient(const Loss& loss, const at::Tensor& outputs, const at::Tensor& targets) {
  const auto z = outputs.detach().clone().requires_grad_(true);
  const auto value = loss.per_example(z, targets).sum();
  return {value.item<double>(), torch::autograd::grad({value}, {z})[0].to(at::kDouble)};
}

/// One example of class 1 whose logit leads the four others by `gap`.
at::Tensor confident(double gap, at::ScalarType type) {
  auto z = at::zeros({1, 5}, at::kDouble);
  z[0][1] = gap;
  return z.to(type);
}

TEST(CrossEntropy, EqualsLogSoftmaxAtOrdinaryLogits) {
  const auto z = normal_init({200, 7}, 3, 1, "z");
  const auto y = (uniform_init({200}, 0.5, 1, "y") + 0.5).mul(7).floor().to(at::kLong);
  const auto loss = cross_entropy(at::kDouble);
  const auto values = loss->per_example(z, y);
  const auto expected = -at::log_softmax(z, 1).gather(1, y.unsqueeze(1)).squeeze(1);
  EXPECT_EQ(values.sizes(), at::IntArrayRef({200}));
  EXPECT_LT(((values - expected).abs() / expected).max().item<double>(), 1e-12);
  const auto seed = loss_and_gradient(*loss, z, y);
  const auto one_hot = at::zeros_like(z).scatter_(1, y.unsqueeze(1), 1.0);
  EXPECT_LT((seed.gradient - (at::softmax(z, 1) - one_hot)).abs().max().item<double>(), 1e-14);
}

TEST(CrossEntropy, KeepsItsDigitsWhereTheLossIsTiny) {
  const auto loss = cross_entropy(at::kDouble);
  for (const double gap : {20.0, 29.0, 60.0, 300.0}) {  // at 29: 4 exp(-29) = 1.0e-12
    const double exact = std::log1p(4 * std::exp(-gap));
    const auto seed = loss_and_gradient(*loss, confident(gap, at::kDouble), classes({1}));
    EXPECT_NEAR(seed.value, exact, 1e-14 * exact) << gap;
    const double p = std::exp(-gap) / (1 + 4 * std::exp(-gap));
    double others = 0;
    for (const int c : {0, 2, 3, 4}) {
      EXPECT_NEAR(seed.gradient[0][c].item<double>(), p, 1e-14 * p) << gap;
      others += seed.gradient[0][c].item<double>();
    }
    EXPECT_NEAR(seed.gradient[0][1].item<double>(), -others, 1e-15 * others) << gap;
    EXPECT_GT(others, 0);
  }
}

TEST(CrossEntropy, KeepsFloat32DigitsWhereSoftmaxHasNone) {
  const double gap = 20;
  const auto z = confident(gap, at::kFloat);
  ASSERT_EQ((at::softmax(z, 1)[0][1] - 1).item<double>(), 0);  // the trap
  const auto seed = loss_and_gradient(*cross_entropy(at::kFloat), z, classes({1}));
  EXPECT_NEAR(seed.value, std::log1p(4 * std::exp(-gap)), 1e-6 * seed.value);
  EXPECT_NEAR(seed.gradient[0][1].item<double>(), -4 * std::exp(-gap), 1e-6 * 4 * std::exp(-gap));
}

TEST(CrossEntropy, IsFiniteHoweverWrongTheAnswer) {
  const auto loss = cross_entropy(at::kDouble);
  const auto seed = loss_and_gradient(*loss, confident(2000, at::kDouble), classes({3}));
  EXPECT_DOUBLE_EQ(seed.value, 2000);
  EXPECT_DOUBLE_EQ(seed.gradient[0][1].item<double>(), 1);
  EXPECT_DOUBLE_EQ(seed.gradient[0][3].item<double>(), -1);
  EXPECT_EQ(seed.gradient[0][0].item<double>(), 0);
  const auto tied = loss_and_gradient(*loss, at::zeros({1, 5}, at::kDouble), classes({0}));
  EXPECT_DOUBLE_EQ(tied.value, std::log(5.0));
  EXPECT_NEAR(tied.gradient[0][0].item<double>(), -0.8, 1e-15);
}

TEST(CrossEntropy, ConvertsItsInputToTheTypeAskedFor) {
  const auto z = normal_init({4, 3}, 1, 1, "z").to(at::kFloat);
  EXPECT_EQ(cross_entropy(at::kDouble)->per_example(z, classes({0, 1, 2, 0})).scalar_type(), at::kDouble);
  EXPECT_EQ(cross_entropy(at::kFloat)->per_example(z, classes({0, 1, 2, 0})).scalar_type(), at::kFloat);
}

TEST(CrossEntropy, SecondDerivativesEqualTheSoftmaxHessian) {
  // d^2 loss / dz^2 = diag(p) - p p^T, whatever the class.
  const auto z = normal_init({1, 5}, 2, 1, "z").requires_grad_(true);
  const auto value = cross_entropy(at::kDouble)->per_example(z, classes({2})).sum();
  const auto g = torch::autograd::grad({value}, {z}, {}, true, true)[0];
  const auto p = at::softmax(z.detach(), 1).squeeze(0);
  const auto exact = at::diag(p) - at::outer(p, p);
  for (std::int64_t c = 0; c < 5; ++c) {
    const auto row = torch::autograd::grad({g[0][c]}, {z}, {}, true)[0].squeeze(0);
    EXPECT_LT((row - exact[c]).abs().max().item<double>(), 1e-14) << c;
  }
}

TEST(PlainCrossEntropy, EqualsTheExactOneAtOrdinaryLogits) {
  const auto z = normal_init({50, 7}, 2, 1, "z");
  const auto y = (uniform_init({50}, 0.5, 1, "y") + 0.5).mul(7).floor().to(at::kLong);
  const auto plain = loss_and_gradient(*plain_cross_entropy(at::kDouble), z, y);
  const auto exact = loss_and_gradient(*cross_entropy(at::kDouble), z, y);
  EXPECT_NEAR(plain.value, exact.value, 1e-12 * exact.value);
  EXPECT_LT((plain.gradient - exact.gradient).abs().max().item<double>(), 1e-14);
}

TEST(PlainCrossEntropy, CancelsInFloat32AndNotInFloat64) {
  // At a margin of 20 the right class gets 1 - 8e-9: float32 rounds its gradient to 0 and keeps those of the others, so
  // that the gradients no longer sum to 0. That is the effect which paper 07 needs.
  const double others = 4 * std::exp(-20.0);
  const auto single = loss_and_gradient(*plain_cross_entropy(at::kFloat), confident(20, at::kFloat), classes({1}));
  EXPECT_EQ(single.value, 0);
  EXPECT_EQ(single.gradient[0][1].item<double>(), 0);
  EXPECT_NEAR(single.gradient.sum().item<double>(), others, 1e-6 * others);
  const auto twice = loss_and_gradient(*plain_cross_entropy(at::kDouble), confident(20, at::kFloat), classes({1}));
  EXPECT_NEAR(twice.value, others, 1e-7 * others);
  EXPECT_NEAR(twice.gradient[0][1].item<double>(), -others, 1e-7 * others);
  EXPECT_EQ(plain_cross_entropy(at::kFloat)->definition(),
            "loss_i = -log softmax(z_i)[y_i] by log_softmax in float32; training loss = mean over i");
}

TEST(TemplateMse, IsTheMeanSquareToTheTemplateOfTheLabel) {
  const auto templates = at::tensor({0.0, 0.0, 1.0, 0.0, 0.0, 3.0}, at::kDouble).view({3, 2});
  const auto loss = template_mse(templates, at::kDouble);
  const auto z = at::tensor({0.4, 0.0, 0.6, 0.0, 0.0, 1.4}, at::kDouble).view({3, 2});
  const auto y = classes({0, 0, 2});
  const auto values = loss->per_example(z, y);
  EXPECT_DOUBLE_EQ(values[0].item<double>(), 0.16 / 2);
  EXPECT_DOUBLE_EQ(values[1].item<double>(), 0.36 / 2);
  EXPECT_DOUBLE_EQ(values[2].item<double>(), 1.6 * 1.6 / 2);
  const auto seed = loss_and_gradient(*loss, z, y);
  EXPECT_DOUBLE_EQ(seed.gradient[2][1].item<double>(), 1.4 - 3);  // 2 (z - Y) / d_out
  EXPECT_DOUBLE_EQ(seed.gradient[2][0].item<double>(), 0);
  const auto correct = loss->correct(z, y);
  EXPECT_TRUE(correct[0].item<bool>());
  EXPECT_FALSE(correct[1].item<bool>());  // (1, 0) is nearer
  EXPECT_FALSE(correct[2].item<bool>());  // (0, 0) is nearer
  EXPECT_EQ(template_mse(templates, at::kDouble)->per_example(z.to(at::kFloat), y).scalar_type(), at::kDouble);
}

TEST(OneHotMse, IsTheMeanOverClasses) {
  const auto z = at::tensor({1.0, 0.5, -1.0, 0.0, 2.0, 0.0}, at::kDouble).view({2, 3});
  const auto loss = one_hot_mse(at::kDouble);
  const auto values = loss->per_example(z, classes({1, 1}));
  EXPECT_DOUBLE_EQ(values[0].item<double>(), (1 + 0.25 + 1) / 3);
  EXPECT_DOUBLE_EQ(values[1].item<double>(), 1.0 / 3);
  const auto seed = loss_and_gradient(*loss, z, classes({1, 1}));
  EXPECT_DOUBLE_EQ(seed.gradient[0][0].item<double>(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(seed.gradient[0][1].item<double>(), -1.0 / 3);
  const auto correct = loss->correct(z, classes({1, 1}));
  EXPECT_FALSE(correct[0].item<bool>());
  EXPECT_TRUE(correct[1].item<bool>());
}

TEST(RegressionMse, IsTheMeanOverOutputs) {
  const auto z = at::tensor({1.0, 2.0, 0.0, 0.1}, at::kDouble).view({2, 2});
  const auto loss = regression_mse(0.01);
  const auto values = loss->per_example(z, at::zeros({2, 2}, at::kDouble));
  EXPECT_DOUBLE_EQ(values[0].item<double>(), 2.5);
  EXPECT_DOUBLE_EQ(values[1].item<double>(), 0.1 * 0.1 / 2);
  const auto seed = loss_and_gradient(*loss, z, at::zeros({2, 2}, at::kDouble));
  EXPECT_DOUBLE_EQ(seed.gradient[0][1].item<double>(), 2);  // 2 (z - y) / d_out
  const auto correct = loss->correct(z, at::zeros({2, 2}, at::kDouble));
  EXPECT_FALSE(correct[0].item<bool>());
  EXPECT_TRUE(correct[1].item<bool>());
}

TEST(RegressionMse, IsComputedInTheTypeAskedFor) {
  const auto z = at::full({1, 2}, 0.1, at::kFloat);
  const auto y = at::full({1, 2}, 0.1, at::kDouble);
  const double rounding = static_cast<double>(0.1F) - 0.1;
  EXPECT_DOUBLE_EQ(regression_mse(1, at::kDouble)->per_example(z, y).item<double>(), rounding * rounding);
  EXPECT_EQ(regression_mse(1, at::kFloat)->per_example(z, y).item<double>(), 0);
  EXPECT_EQ(regression_mse(1, at::kDouble)->per_example(z, y).scalar_type(), at::kDouble);
  EXPECT_EQ(regression_mse(1)->per_example(z, y.to(at::kFloat)).scalar_type(), at::kFloat);
}

TEST(TokenCrossEntropy, IsTheMeanOverSupervisedTokens) {
  const auto z = normal_init({4, 3, 5}, 2, 1, "z");
  const auto y = classes({0, 4, 2, 1, -1, 3, -1, -1, 0, -1, -1, -1}).view({4, 3});
  const auto losses = token_cross_entropy(at::kDouble)->per_example(z, y);
  const auto p = at::log_softmax(z, 2);
  const auto of = [&](int i, int t) { return -p[i][t][y[i][t].item<std::int64_t>()].item<double>(); };
  EXPECT_NEAR(losses[0].item<double>(), (of(0, 0) + of(0, 1) + of(0, 2)) / 3, 1e-14);
  EXPECT_NEAR(losses[1].item<double>(), (of(1, 0) + of(1, 2)) / 2, 1e-14);
  EXPECT_NEAR(losses[2].item<double>(), of(2, 2), 1e-14);
  EXPECT_EQ(losses[3].item<double>(), 0);
  const auto seed = loss_and_gradient(*token_cross_entropy(at::kDouble), z, y).gradient;
  EXPECT_EQ(seed[1][1].abs().max().item<double>(), 0) << "an unsupervised token has no gradient";
  EXPECT_NEAR(seed[1][0][1].item<double>(), (std::exp(p[1][0][1].item<double>()) - 1) / 2, 1e-14);
}

TEST(TokenCrossEntropy, ARowIsCorrectWhenAllItsSupervisedTokensAre) {
  auto z = at::zeros({4, 2, 3}, at::kDouble);
  for (int i = 0; i < 4; ++i) z[i][0][1] = z[i][1][2] = 1;  // every row answers 1, 2
  const auto y = classes({1, 2, 1, 0, -1, 2, -1, 1}).view({4, 2});
  EXPECT_TRUE(token_cross_entropy(at::kDouble)->correct(z, y).equal(classes({1, 0, 1, 0}).to(at::kBool)));
}

TEST(TokenCrossEntropy, OneTokenIsPlainCrossEntropy) {
  const auto z = normal_init({9, 1, 6}, 2, 1, "z");
  const auto y = (uniform_init({9, 1}, 0.5, 1, "y") + 0.5).mul(6).floor().to(at::kLong);
  const auto one = cross_entropy(at::kDouble)->per_example(z.squeeze(1), y.squeeze(1));
  EXPECT_TRUE(token_cross_entropy(at::kDouble)->per_example(z, y).equal(one));
}

}  // namespace
}  // namespace grokscope
