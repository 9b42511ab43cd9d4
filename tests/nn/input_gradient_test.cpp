// Gradients with respect to inputs against central differences, example by example.
#include "nn/input_gradient.hpp"

#include <gtest/gtest.h>

#include "gop/small_models.hpp"

namespace grokscope {
namespace {

TEST(InputGradient, EqualsCentralDifferencesOfEachExample) {
  const auto m = small_mlp(7);
  const auto loss = [&](const at::Tensor& z) { return m.loss->per_example(z, m.targets); };
  const auto found = input_gradient(*m.model, m.inputs, loss);
  auto tape = Tape::inactive();
  EXPECT_TRUE(found.outputs.equal(m.model->forward(m.inputs, tape).detach()));
  EXPECT_FALSE(found.gradient.requires_grad());
  const double h = 1e-6;
  for (std::int64_t j = 0; j < m.inputs.size(1); ++j) {
    const auto step = at::zeros_like(m.inputs);
    step.select(1, j).fill_(h);
    const auto ahead = loss(m.model->forward(m.inputs + step, tape)), behind = loss(m.model->forward(m.inputs - step, tape));
    const auto difference = ((ahead - behind) / (2 * h)).detach();
    EXPECT_LT((found.gradient.select(1, j) - difference).abs().max().item<double>(), 1e-8) << j;
  }
  EXPECT_GT(found.gradient.abs().min().item<double>(), 0);
}

TEST(InputGradient, LeavesWeightsAndInputsAlone) {
  const auto m = small_mlp(3);
  input_gradient(*m.model, m.inputs, [](const at::Tensor& z) { return z.sum(1); });
  EXPECT_FALSE(m.inputs.requires_grad());
  for (const auto& p : m.model->parameters.all()) EXPECT_FALSE(p.value.grad().defined()) << p.name;
}

}  // namespace
}  // namespace grokscope
