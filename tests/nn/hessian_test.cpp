// Hessian-vector products against central differences of the gradient, and against a Hessian known in closed form.
#include "nn/hessian.hpp"

#include <gtest/gtest.h>

#include "gop/small_models.hpp"
#include "nn/embedding_mlp.hpp"

namespace grokscope {
namespace {

std::vector<SmallModel> models(std::int64_t n) {
  return {small_transformer(n), small_mlp(n), small_power_mlp(n), small_linear(n, 6, 3),
          {"embedding MLP", std::make_shared<EmbeddingMlp>(EmbeddingMlpShape{5, {{1, 8, 6}, "tanh", true}, 2, 1.5}, 9),
           plain_cross_entropy(at::kDouble), residues(n, 5, "x", 2), residues(n, 6, "y", 1)}};
}

/// Gradient of the summed loss.
at::Tensor gradient(const SmallModel& m) {
  std::vector<at::Tensor> parts;
  for (const auto& g : backward_pass(*m.model, *m.loss, m.inputs, m.targets, Taping::off).gradients) {
    parts.push_back(g.reshape({-1}));
  }
  return at::cat(parts);
}

TEST(HessianVectorProduct, EqualsCentralDifferences) {
  for (const auto& m : models(8)) {
    auto& parameters = m.model->parameters;
    const auto v = normal_init({parameters.total()}, 1, 6, "direction");
    const auto product = hessian_vector_product(*m.model, *m.loss, m.inputs, m.targets, v);
    const auto here = parameters.flat();
    const double h = 1e-5;
    parameters.set_flat(here + h * v);
    const auto ahead = gradient(m);
    parameters.set_flat(here - h * v);
    const auto behind = gradient(m);
    parameters.set_flat(here);
    EXPECT_FALSE(product.requires_grad());
    EXPECT_GT(product.abs().max().item<double>(), 1e-3) << m.name << ": nothing to compare";
    EXPECT_LT((product - (ahead - behind) / (2 * h)).norm().item<double>(), 1e-7 * product.norm().item<double>()) << m.name;
  }
}

TEST(HessianVectorProduct, OfALinearModelIsTheCovarianceOfItsInputs) {
  // loss_i = (1/3) sum_c (S_c . x_i - y_ic)^2: H = (2/3) sum_i x_i x_i^T for every row S_c.
  const auto m = small_linear(11, 6, 3);
  const auto v = normal_init({18}, 1, 6, "direction");
  const auto product = hessian_vector_product(*m.model, *m.loss, m.inputs, m.targets, v).view({3, 6});
  const auto exact = 2.0 / 3 * at::mm(v.view({3, 6}), at::mm(m.inputs.t(), m.inputs));
  EXPECT_LT((product - exact).abs().max().item<double>(), 1e-12);
}

TEST(HessianVectorProduct, OfNoExampleIsZero) {
  for (const auto& m : models(4)) {
    const auto v = normal_init({m.model->parameters.total()}, 1, 6, "direction");
    const auto product =
        hessian_vector_product(*m.model, *m.loss, m.inputs.slice(0, 0, 0), m.targets.slice(0, 0, 0), v);
    EXPECT_EQ(product.numel(), v.numel()) << m.name;
    EXPECT_EQ(product.abs().max().item<double>(), 0) << m.name;
  }
}

}  // namespace
}  // namespace grokscope
