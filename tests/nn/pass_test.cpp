// One pass over a batch: what it costs in memory, what it gives for nothing, and whether gradients can be
// differentiated again.
#include "nn/pass.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include <fstream>

#include "nn/sequence_models.hpp"

namespace grokscope {
namespace {

std::vector<SmallModel> models(std::int64_t n) {
  std::vector<SmallModel> result{small_transformer(n), small_folded_mlp(n), small_mlp(n), small_power_mlp(n),
                                 small_linear(n, 6, 3)};
  for (const auto& more : {sequence_blocks(n), small_transformers(n)}) result.insert(result.end(), more.begin(), more.end());
  return result;
}

double resident_mb() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / 1e6;
}

/// d(mean loss)/d(parameters) as one vector that can be differentiated again.
at::Tensor gradient(const SmallModel& m) {
  auto tape = Tape::inactive();
  const auto loss = m.loss->per_example(m.model->forward(m.inputs, tape), m.targets).mean();
  std::vector<at::Tensor> parts;
  for (const auto& g :
       torch::autograd::grad({loss}, m.model->parameters.tensors(), {}, true, /*create_graph=*/true)) {
    parts.push_back(g.reshape({-1}));
  }
  return at::cat(parts);
}

TEST(Pass, AThousandTapedStepsLeaveMemoryFlat) {
  // A tape of the transformer at this size holds .6 MB: one that is kept each time would show as 600 MB.
  const auto m =
      SmallModel{"", std::make_shared<OneLayerTransformer>(OneLayerTransformerShape{11, 32, 4, 64}, 9),
                 cross_entropy(at::kDouble), residues(64, 11, "x", 2), residues(64, 11, "y", 1)};
  std::int64_t bytes = 0;
  const auto steps = [&](int count) {
    for (int i = 0; i < count; ++i) {
      auto pass = backward_pass(*m.model, *m.loss, m.inputs, m.targets, Taping::on);
      bytes = pass.taps.bytes();
      at::NoGradGuard no_grad;
      for (std::size_t k = 0; k < pass.gradients.size(); ++k) {
        auto value = m.model->parameters[k].value;
        value.sub_(pass.gradients[k], 1e-4);
      }
    }
  };
  steps(100);
  const double before = resident_mb();
  steps(1000);
  EXPECT_GT(bytes, 100000);
  EXPECT_LT(resident_mb() - before, 3);
}

TEST(Pass, AnEmptyBatchGivesZeros) {
  for (const auto& m : models(6)) {
    for (const auto taping : {Taping::off, Taping::on}) {
      const auto pass =
          backward_pass(*m.model, *m.loss, m.inputs.slice(0, 0, 0), m.targets.slice(0, 0, 0), taping);
      EXPECT_EQ(pass.loss_sum, 0) << m.name;
      EXPECT_EQ(m.loss->correct(pass.outputs, m.targets.slice(0, 0, 0)).numel(), 0) << m.name;
      ASSERT_EQ(pass.gradients.size(), m.model->parameters.all().size()) << m.name;
      for (std::size_t k = 0; k < pass.gradients.size(); ++k) {
        EXPECT_EQ(pass.gradients[k].sizes(), m.model->parameters[k].value.sizes()) << m.name;
        EXPECT_EQ(pass.gradients[k].abs().max().item<double>(), 0) << m.name;
      }
      if (taping == Taping::off) continue;
      EXPECT_EQ(pass.taps.n, 0) << m.name;
      EXPECT_EQ(pass.taps.parameter_count(), m.model->parameters.total()) << m.name;
    }
  }
}

TEST(Pass, SumsOverExamples) {
  for (const auto& m : models(9)) {
    const auto whole = backward_pass(*m.model, *m.loss, m.inputs, m.targets, Taping::off);
    double loss = 0;
    auto gradients = whole.gradients;
    for (auto& g : gradients) g = at::zeros_like(g);
    for (std::int64_t i = 0; i < 9; ++i) {
      const auto one = backward_pass(*m.model, *m.loss, m.inputs.slice(0, i, i + 1),
                                     m.targets.slice(0, i, i + 1), Taping::off);
      loss += one.loss_sum;
      EXPECT_LT((one.outputs - whole.outputs.slice(0, i, i + 1)).abs().max().item<double>(), 1e-10) << m.name;
      for (std::size_t k = 0; k < gradients.size(); ++k) gradients[k] = gradients[k] + one.gradients[k];
    }
    EXPECT_NEAR(whole.loss_sum, loss, 1e-12 * loss) << m.name;
    // Of all parameters: that of a key's bias is zero but for rounding, for softmax ignores a shift of all scores.
    double scale = 0;
    for (const auto& g : whole.gradients) scale = std::max(scale, g.abs().max().item<double>());
    for (std::size_t k = 0; k < gradients.size(); ++k) {
      EXPECT_LT((gradients[k] - whole.gradients[k]).abs().max().item<double>(), 1e-12 * scale)
          << m.name << " " << k;
    }
  }
}

TEST(Pass, EvaluationInChunksAgreesWithTheBackwardPass) {
  for (const auto& m : models(13)) {
    const auto pass = backward_pass(*m.model, *m.loss, m.inputs, m.targets, Taping::off);
    for (const std::int64_t chunk : {1, 4, 13, 100}) {
      const auto score = evaluate(*m.model, *m.loss, m.inputs, m.targets, chunk);
      EXPECT_NEAR(score.loss_sum, pass.loss_sum, 1e-12 * pass.loss_sum) << m.name << " " << chunk;
      EXPECT_EQ(score.correct, m.loss->correct(pass.outputs, m.targets).sum().item<std::int64_t>()) << m.name << " " << chunk;
    }
  }
}

TEST(Pass, AParameterThatTheForwardPassDoesNotRecordGetsExplicitGradients) {
  class Silent : public Model {
   public:
    Silent() {
      parameters.add("a", "a", normal_init({2, 2}, 1, 1, "a"));
      parameters.add("b", "b", normal_init({2, 2}, 1, 1, "b"));
      parameters.add("unused", "unused", at::ones({3}, at::kDouble));
    }
    at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override {
      const auto y = at::mm(inputs, parameters[0].value.t());
      tape.record_linear(parameters[0], nullptr, inputs, y);
      return at::mm(y, parameters[1].value.t());
    }
  };
  const Silent model;
  const auto x = normal_init({5, 2}, 1, 2, "x"), target = normal_init({5, 2}, 1, 2, "y");
  const auto pass = backward_pass(model, *regression_mse(1), x, target, Taping::on);
  ASSERT_EQ(pass.taps.taps.size(), 3u);
  EXPECT_TRUE(pass.taps.taps[0].has_kernel);
  EXPECT_FALSE(pass.taps.taps[1].has_kernel);
  // With h = A x and the mean over two outputs of a square, the gradient of B is (B h - y) h^T.
  const auto h = x.mm(model.parameters[0].value.detach().t());
  const auto residual = h.mm(model.parameters[1].value.detach().t()) - target;
  const auto expected = at::bmm(residual.unsqueeze(2), h.unsqueeze(1)).reshape({5, 4});
  EXPECT_LT((pass.taps.taps[1].uses[0].out.values.reshape({5, 4}) - expected).abs().max().item<double>(), 1e-14);
  EXPECT_EQ(pass.taps.taps[2].uses[0].out.values.abs().max().item<double>(), 0);
}

TEST(Pass, HessianVectorProductsEqualCentralDifferences) {
  for (const auto& m : models(8)) {
    auto& parameters = m.model->parameters;
    const auto direction = normal_init({parameters.total()}, 1, 6, "direction");
    const auto along = gradient(m).dot(direction);
    std::vector<at::Tensor> parts;
    const auto tensors = parameters.tensors();
    const auto products = torch::autograd::grad({along}, tensors, {}, false, false, /*allow_unused=*/true);
    for (std::size_t k = 0; k < products.size(); ++k) {
      parts.push_back((products[k].defined() ? products[k] : at::zeros_like(tensors[k])).reshape({-1}));
    }
    const auto exact = at::cat(parts);
    const auto here = parameters.flat();
    const double h = 2e-6;
    parameters.set_flat(here + h * direction);
    const auto ahead = gradient(m).detach();
    parameters.set_flat(here - h * direction);
    const auto behind = gradient(m).detach();
    const auto differences = (ahead - behind) / (2 * h);
    EXPECT_GT(exact.abs().max().item<double>(), 1e-3) << m.name << ": nothing to compare";
    EXPECT_LT((exact - differences).norm().item<double>(), 1e-7 * exact.norm().item<double>()) << m.name;
  }
}

}  // namespace
}  // namespace grokscope
