// The embedding model against its formula, the layers that it shares with the MLP, and where their parameters stand.
#include "nn/embedding_mlp.hpp"

#include <gtest/gtest.h>

#include "nn/mlp.hpp"

namespace grokscope {
namespace {

at::Tensor forward(const Model& model, const at::Tensor& inputs) {
  auto tape = Tape::inactive();
  return model.forward(inputs, tape).detach();
}

TEST(EmbeddingMlp, DecodesTheSumOfItsEmbeddings) {
  const EmbeddingMlp model(EmbeddingMlpShape{4, {{2, 5, 3}, "tanh", true}, 1, 1}, 1);
  const auto& p = model.parameters;
  const auto x = at::tensor({0, 3, 2, 2}, at::kLong).view({2, 2});
  const auto e = p[0].value.detach();
  const auto sum = at::stack({e[0] + e[3], 2 * e[2]});
  const auto hidden = at::tanh(at::mm(sum, p[1].value.detach().t()) + p[2].value.detach());
  const auto expected = at::mm(hidden, p[3].value.detach().t()) + p[4].value.detach();
  EXPECT_LT((forward(model, x) - expected).abs().max().item<double>(), 1e-14);
  EXPECT_TRUE(forward(model, x).equal(forward(model, x.flip(1)))) << "the order of the terms matters";
}

TEST(EmbeddingMlp, NamesItsLayersInOrder) {
  const EmbeddingMlp model(EmbeddingMlpShape{4, {{2, 5, 3}, "tanh", true}, 1, 1}, 1);
  std::vector<std::string> names, layers;
  for (const auto& p : model.parameters.all()) names.push_back(p.name);
  for (const auto& l : model.parameters.layers()) layers.push_back(l.name);
  EXPECT_EQ(names, (std::vector<std::string>{"embedding.E", "decoder.0.weight", "decoder.0.bias", "decoder.1.weight",
                                             "decoder.1.bias"}));
  EXPECT_EQ(layers, (std::vector<std::string>{"embedding", "decoder.0", "decoder.1"}));
  EXPECT_EQ(model.parameters.total(), 8 + 15 + 18);
}

TEST(EmbeddingMlp, StartsAsThePaperSays) {
  const EmbeddingMlp model(EmbeddingMlpShape{1000, {{3, 400, 5}, "tanh", true}, 2, 4}, 1);
  const auto& p = model.parameters;
  const auto expect_uniform = [](const at::Tensor& t, double bound) {
    EXPECT_LE(t.abs().max().item<double>(), bound);
    EXPECT_GT(t.abs().max().item<double>(), 0.98 * bound);
    const double variance = t.square().mean().item<double>(), n = static_cast<double>(t.numel());
    EXPECT_NEAR(variance, bound * bound / 3, 5 * bound * bound / 3 * std::sqrt(0.8 / n));
  };
  expect_uniform(p[0].value.detach(), 1);  // U(+-1/2) times 2
  expect_uniform(p[1].value.detach(), 4 / std::sqrt(3.0));
  expect_uniform(p[3].value.detach(), 4 / std::sqrt(400.0));
}

TEST(Mlp, FeaturesEnterItsLastLayer) {
  const Mlp model(MlpShape{{6, 9, 7, 4}, "relu", true}, 1, 5);
  const auto x = normal_init({8, 6}, 1, 2, "x");
  const auto& weight = model.last_weight();
  ASSERT_EQ(weight.name, "layers.2.weight");
  const auto logits = at::mm(model.features(x), weight.value.detach().t()) + model.parameters[5].value.detach();
  EXPECT_FALSE(model.features(x).requires_grad());
  EXPECT_LT((logits - forward(model, x)).abs().max().item<double>(), 1e-14);
  const Mlp without_bias(MlpShape{{6, 9, 4}, "relu", false}, 1, 5);
  EXPECT_EQ(without_bias.last_weight().name, "layers.1.weight");
  const auto plain = at::mm(without_bias.features(x), without_bias.last_weight().value.detach().t());
  EXPECT_LT((plain - forward(without_bias, x)).abs().max().item<double>(), 1e-14);
}

}  // namespace
}  // namespace grokscope
