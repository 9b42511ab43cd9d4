// The folded products against the network as the paper draws it, token by token, and the paper's sizes.
#include "nn/folded_mlp.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "gop/small_models.hpp"

namespace grokscope {
namespace {

TEST(FoldedMlp, HasThePapersParameters) {
  const FoldedMlp model({}, 3);
  EXPECT_EQ(model.parameters.total(), 115000);
  const std::vector<std::vector<std::int64_t>> shapes{{500, 67}, {48, 500}, {500, 48}, {500, 67}};
  const std::vector<double> fan{67, 500, 48, 500};
  ASSERT_EQ(model.parameters.all().size(), 4u);
  for (std::size_t k = 0; k < 4; ++k) {
    const auto& w = model.parameters[k].value;
    EXPECT_EQ(w.sizes().vec(), shapes[k]) << k;
    const double std = w.detach().std().item<double>() * std::sqrt(fan[k]);
    EXPECT_NEAR(std, 1, 0.03) << k;  // five standard deviations of the estimate for 24,000 weights
  }
  EXPECT_EQ(model.parameters.layers().size(), 4u);
}

TEST(FoldedMlp, EqualsTheUnfoldedNetwork) {
  const FoldedMlp model({7, 11, 5}, 3);
  const auto inputs = residues(29, 7, "x", 2);
  auto tape = Tape::inactive();
  const auto logits = model.forward(inputs, tape);
  const auto &w_e = model.parameters[0].value, &w_in = model.parameters[1].value, &w_out = model.parameters[2].value,
             &w_u = model.parameters[3].value;
  double largest = 0;
  for (std::int64_t i = 0; i < 29; ++i) {
    const auto a = inputs[i][0].item<std::int64_t>(), b = inputs[i][1].item<std::int64_t>();
    const auto residual = w_e.select(1, a) + w_e.select(1, b);
    const auto expected = w_u.t().mv(w_out.mv(at::relu(w_in.mv(residual))));
    largest = std::max(largest, (logits[i] - expected).abs().max().item<double>());
  }
  EXPECT_LT(largest, 1e-13);
  EXPECT_GT(logits.abs().max().item<double>(), 0.1);
}

}  // namespace
}  // namespace grokscope
