// Where each number stands in the flat vector, and how initial values are spread.
#include "nn/parameters.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.hpp"
#include "gop/small_models.hpp"

namespace grokscope {
namespace {

ParameterSet three_parameters() {
  ParameterSet set;
  set.add("a.weight", "a", at::arange(6, at::kDouble).view({2, 3}));
  set.add("a.bias", "a", at::arange(6, 8, at::kDouble));
  set.add("b.weight", "b", at::arange(8, 12, at::kDouble).view({4, 1}));
  return set;
}

TEST(Parameters, OffsetsAreContiguousAndRowMajor) {
  const auto set = three_parameters();
  EXPECT_EQ(set.total(), 12);
  EXPECT_EQ(set[0].offset, 0);
  EXPECT_EQ(set[1].offset, 6);
  EXPECT_EQ(set[2].offset, 8);
  EXPECT_TRUE(set.flat().equal(at::arange(12, at::kDouble)));
  ASSERT_EQ(set.layers().size(), 2u);
  EXPECT_EQ(set.layers()[0].name, "a");
  EXPECT_EQ(set.layers()[0].range.begin, 0);
  EXPECT_EQ(set.layers()[0].range.end, 8);
  EXPECT_EQ(set.layers()[1].range.begin, 8);
  EXPECT_EQ(set.layers()[1].range.end, 12);
}

TEST(Parameters, LayersOfEveryModelCoverTheFlatVector) {
  for (const auto& m : small_models()) {
    const auto& set = m.model->parameters;
    std::int64_t next = 0;
    for (const auto& p : set.all()) {
      EXPECT_EQ(p.offset, next) << m.name << " " << p.name;
      EXPECT_TRUE(p.value.is_leaf() && p.value.requires_grad()) << p.name;
      next += p.size();
    }
    EXPECT_EQ(next, set.total());
    next = 0;
    for (const auto& layer : set.layers()) {
      EXPECT_EQ(layer.range.begin, next) << m.name << " " << layer.name;
      next = layer.range.end;
    }
    EXPECT_EQ(next, set.total());
  }
}

TEST(Parameters, ALayerInTwoPiecesIsRefused) {
  auto set = three_parameters();
  EXPECT_THROW(set.add("a.more", "a", at::zeros({1}, at::kDouble)), InternalError);
}

TEST(Parameters, FlatValuesGoBackWhereTheyCameFrom) {
  auto set = three_parameters();
  set.set_flat(at::arange(12, at::kDouble) * 2);
  EXPECT_EQ(set[0].value[1][0].item<double>(), 6);
  EXPECT_EQ(set[1].value[1].item<double>(), 14);
  EXPECT_EQ(set[2].value[3][0].item<double>(), 22);
  EXPECT_THROW(set.set_flat(at::zeros({11}, at::kDouble)), InternalError);
}

TEST(Parameters, ConvertedAndScaledParametersStayLeaves) {
  auto set = three_parameters();
  set.scale(0.5);
  EXPECT_DOUBLE_EQ(set.norm(), 0.5 * std::sqrt(506.0));  // 1 + 4 + ... + 121 = 506
  set.convert(at::kCPU, at::kFloat);
  for (const auto& p : set.all()) {
    EXPECT_EQ(p.value.scalar_type(), at::kFloat);
    EXPECT_TRUE(p.value.is_leaf() && p.value.requires_grad());
  }
  EXPECT_DOUBLE_EQ(set.norm(), 0.5 * std::sqrt(506.0));
}

TEST(Parameters, TheSetOwnsItsValues) {
  auto initial = at::ones({3}, at::kDouble);
  ParameterSet set;
  set.add("w", "w", initial);
  initial.fill_(7);
  EXPECT_EQ(set.flat().max().item<double>(), 1);
}

/// |sample moment - moment| within five standard errors.
void expect_moments(const at::Tensor& sample, double variance, double kurtosis) {
  const auto n = static_cast<double>(sample.numel());
  EXPECT_NEAR(sample.mean().item<double>(), 0, 5 * std::sqrt(variance / n));
  const double measured = sample.square().mean().item<double>();
  EXPECT_NEAR(measured, variance, 5 * variance * std::sqrt((kurtosis - 1) / n));
}

TEST(Initialisation, NormalMoments) {
  const auto x = normal_init({400, 250}, 0.3, 5, "W");
  expect_moments(x, 0.09, 3);
  EXPECT_NEAR((x / 0.3).pow(4).mean().item<double>(), 3, 5 * std::sqrt(96.0 / 1e5));  // var x^4 = 105 - 9
  EXPECT_NEAR((x.abs() < 0.3).to(at::kDouble).mean().item<double>(), 0.682689, 5 * std::sqrt(0.2166 / 1e5));
}

TEST(Initialisation, UniformMoments) {
  const auto x = uniform_init({400, 250}, 0.3, 5, "W");
  expect_moments(x, 0.03, 1.8);
  EXPECT_LE(x.max().item<double>(), 0.3);
  EXPECT_GE(x.min().item<double>(), -0.3);
  EXPECT_GT(x.max().item<double>(), 0.2999);
  EXPECT_LT(x.min().item<double>(), -0.2999);
}

TEST(Initialisation, StreamsDependOnSeedAndNameAlone) {
  const auto x = normal_init({100, 100}, 1, 5, "W");
  EXPECT_TRUE(x.equal(normal_init({100, 100}, 1, 5, "W")));
  EXPECT_TRUE(x.slice(0, 0, 10).equal(normal_init({10, 100}, 1, 5, "W")));
  for (const auto& other : {normal_init({100, 100}, 1, 6, "W"), normal_init({100, 100}, 1, 5, "V")}) {
    EXPECT_NEAR((x * other).mean().item<double>(), 0, 0.05);  // five standard errors
  }
}

TEST(Initialisation, OfTheModelsIsWhatTheirPapersSay) {
  const OneLayerTransformer transformer(OneLayerTransformerShape{}, 3);
  for (const auto& p : transformer.parameters.all()) {
    if (p.name == "blocks.0.mlp.b_in" || p.name == "blocks.0.mlp.b_out") {
      EXPECT_EQ(p.value.abs().max().item<double>(), 0) << p.name;
    } else {
      SCOPED_TRACE(p.name);
      expect_moments(p.value.detach(), p.name == "unembed.W_U" ? 1.0 / 114 : 1.0 / 128, 3);
    }
  }
  const Mlp mlp(MlpShape{{784, 200, 10}, "relu", true}, 8, 3);
  for (const auto& p : mlp.parameters.all()) {
    const double bound = 8 / std::sqrt(p.name.rfind("layers.0", 0) == 0 ? 784.0 : 200.0);
    SCOPED_TRACE(p.name);
    expect_moments(p.value.detach(), bound * bound / 3, 1.8);
    EXPECT_LE(p.value.abs().max().item<double>(), bound);
  }
  const PowerMlp power(PowerMlpShape{97, 500, 2, 0.05}, 3);
  for (const auto& p : power.parameters.all()) expect_moments(p.value.detach(), 0.0025, 3);
}

}  // namespace
}  // namespace grokscope
