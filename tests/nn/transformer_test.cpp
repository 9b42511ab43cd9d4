// Transformers of papers 01, 04 and 07: how many numbers each layer has, how it starts, and that skipping tokens changes
// nothing.
#include "nn/transformer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "nn/all_positions.hpp"
#include "nn/pass.hpp"
#include "nn/sequence_models.hpp"
#include "nn/transformer_shapes.hpp"

namespace grokscope {
namespace {

std::map<std::string, std::int64_t> sizes_of_layers(const Model& model) {
  std::map<std::string, std::int64_t> sizes;
  for (const auto& layer : model.parameters.layers()) sizes[layer.name] = layer.range.size();
  return sizes;
}

at::Tensor value(const Model& model, const std::string& name) {
  for (const auto& p : model.parameters.all()) {
    if (p.name == name) return p.value.detach();
  }
  throw std::out_of_range(name);
}

double std_of(const Model& model, const std::string& name) { return value(model, name).std().item<double>(); }
double largest(const at::Tensor& t) { return t.abs().max().item<double>(); }

TEST(Transformer, HasTheParametersOfPaper01) {
  const Transformer model(power_shape(), 1);
  EXPECT_EQ(model.parameters.total(), 455424);
  auto sizes = sizes_of_layers(model);
  EXPECT_EQ(sizes.count("pos_embed"), 0u);
  EXPECT_EQ(sizes["embed"], 30592);
  EXPECT_EQ(sizes["unembed"], 30592);
  for (const std::string b : {"blocks.0.", "blocks.1."}) {
    EXPECT_EQ(sizes[b + "attn.W_Q"] + sizes[b + "attn.W_K"] + sizes[b + "attn.W_V"], 49152);
    EXPECT_EQ(sizes[b + "attn.W_O"], 16384);
    EXPECT_EQ(sizes[b + "mlp.in"] + sizes[b + "mlp.out"], 131072);
    EXPECT_EQ(sizes[b + "norm_1"] + sizes[b + "norm_2"], 512);
  }
  std::int64_t blocks = 0;
  for (const auto& [name, size] : sizes) blocks += name.starts_with("blocks.") ? size : 0;
  EXPECT_EQ(blocks, 394240);
}

TEST(Transformer, HasTheParametersOfPaper04) {
  const Transformer model(wang_shape(), 1);
  EXPECT_EQ(model.parameters.total(), 97783296);
  auto sizes = sizes_of_layers(model);
  EXPECT_EQ(sizes["embed"], 40292352);
  EXPECT_EQ(sizes["pos_embed"], 786432);
  EXPECT_EQ(sizes["final_norm"], 1536);
  EXPECT_EQ(sizes.count("unembed"), 0u);
  for (int b = 0; b < 8; ++b) {
    std::int64_t block = 0;
    for (const auto& [name, size] : sizes) block += name.starts_with(fmt::format("blocks.{}.", b)) ? size : 0;
    EXPECT_EQ(block, 7087872);
  }
  EXPECT_TRUE(model.is_stochastic());
}

TEST(Transformer, HasTheParametersOfTheSmallOnes) {
  const Transformer miniature(wang_miniature_shape(), 1);
  EXPECT_EQ(miniature.parameters.total(), 406144);  // the measured one: about 406 k
  EXPECT_FALSE(miniature.is_stochastic());
  EXPECT_EQ(sizes_of_layers(miniature)["embed"], 70 * 128);
  const Transformer slingshot(slingshot_shape(), 1);
  EXPECT_EQ(slingshot.parameters.total(), 2 * (49152 + 16384 + 131072) + 2 * 99 * 128);
  for (const auto& layer : slingshot.parameters.layers()) EXPECT_EQ(layer.name.find("norm"), std::string::npos);
}

TEST(Transformer, StartsAsPaper01Does) {
  const Transformer power(power_shape(), 1);
  EXPECT_NEAR(std_of(power, "embed.W_E"), 1, 0.02);
  for (const auto* name : {"blocks.0.attn.W_Q", "blocks.1.attn.W_O", "blocks.0.mlp.W_in", "unembed.W_U"}) {
    EXPECT_NEAR(largest(value(power, name)), 1 / std::sqrt(128.0), 1e-4) << name;
    EXPECT_NEAR(std_of(power, name), 1 / std::sqrt(3 * 128.0), 0.01 / std::sqrt(128.0)) << name;
  }
  EXPECT_NEAR(largest(value(power, "blocks.0.mlp.W_out")), 1 / std::sqrt(512.0), 1e-4);
  EXPECT_TRUE(value(power, "blocks.1.norm_2.gain").eq(1).all().item<bool>());
  EXPECT_TRUE(value(power, "blocks.1.norm_2.bias").eq(0).all().item<bool>());
}

TEST(Transformer, StartsAsGpt2Does) {
  auto shape = wang_miniature_shape();
  const Transformer scaled(shape, 1);
  for (const auto* name : {"embed.W_E", "blocks.0.attn.W_V", "blocks.1.mlp.W_in"}) {
    EXPECT_NEAR(std_of(scaled, name), 0.02, 6e-4) << name;
  }
  EXPECT_NEAR(std_of(scaled, "pos_embed.W_pos"), 0.02, 3e-3);
  for (const auto* name : {"blocks.0.attn.W_O", "blocks.1.mlp.W_out"}) {  // .02 / sqrt(2 blocks)
    EXPECT_NEAR(std_of(scaled, name), 0.01, 3e-4) << name;
  }
  for (const auto* name : {"blocks.0.attn.b_K", "blocks.1.mlp.b_out"}) EXPECT_EQ(largest(value(scaled, name)), 0) << name;
  shape.init_scales_residual = false;
  EXPECT_NEAR(std_of(Transformer(shape, 1), "blocks.0.attn.W_O"), 0.02, 6e-4);
}

/// Outputs and the gradients of the summed loss against every position through every layer.
void expect_equal_passes(const SmallModel& m) {
  const AllPositions reference(dynamic_cast<const Transformer&>(*m.model));
  auto tape = Tape::inactive();
  const auto outputs = m.model->forward(m.inputs, tape), expected = reference.forward(m.inputs, tape);
  ASSERT_EQ(outputs.sizes(), expected.sizes()) << m.name;
  EXPECT_LT(largest(outputs - expected), 1e-12 * largest(expected)) << m.name;
  const auto ours = backward_pass(*m.model, *m.loss, m.inputs, m.targets, Taping::off);
  const auto theirs = backward_pass(reference, *m.loss, m.inputs, m.targets, Taping::off);
  EXPECT_TRUE(at::equal(m.loss->correct(ours.outputs, m.targets), m.loss->correct(theirs.outputs, m.targets))) << m.name;
  double scale = 0;
  for (const auto& g : theirs.gradients) scale = std::max(scale, largest(g));
  for (std::size_t k = 0; k < ours.gradients.size(); ++k) {
    EXPECT_LT(largest(ours.gradients[k] - theirs.gradients[k]), 1e-12 * scale)
        << m.name << " " << m.model->parameters[k].name;
  }
}

TEST(Transformer, SkippedTokensChangeNeitherOutputsNorGradients) {
  for (const auto& m : small_transformers(13)) expect_equal_passes(m);
}

TEST(Transformer, SkippedTokensChangeNothingAtFullSize) {
  const auto shape = power_shape(), miniature = wang_miniature_shape();
  auto x = residues(5, 97, "x", 6) + 30;
  for (const auto& f : shape.fixed_tokens) x.select(1, f.position).fill_(f.token);
  expect_equal_passes({"paper 01", std::make_shared<Transformer>(shape, 3), token_cross_entropy(at::kDouble), x,
                       residues(5, 239, "y", 2)});
  expect_equal_passes({"miniature of paper 04", std::make_shared<Transformer>(miniature, 3),
                       token_cross_entropy(at::kDouble), residues(5, 70, "x", 3), token_targets(5, 2, 50)});
}

TEST(Transformer, TheHeadMapsFeaturesToLogits) {
  for (const auto& model : small_transformers(5)) {
    const auto& transformer = dynamic_cast<const Transformer&>(*model.model);
    auto tape = Tape::inactive();
    const auto logits = model.model->forward(model.inputs, tape).detach(), h = transformer.features(model.inputs);
    const auto head = transformer.last_weight().value.detach().slice(0, 0, logits.size(-1));
    EXPECT_LT(largest(at::matmul(h, head.t()) - logits), 1e-13) << model.name;
    EXPECT_FALSE(h.requires_grad());
  }
}

TEST(Transformer, ATokenSeesNothingBehindIt) {
  const auto m = small_gpt(6);  // reads positions 1 and 2 of 0..3
  auto tape = Tape::inactive();
  const auto before = m.model->forward(m.inputs, tape).detach();
  const auto change = [&](std::int64_t position) {
    auto other = m.inputs.clone();
    other.select(1, position).copy_((other.select(1, position) + 1).remainder(10));
    return (m.model->forward(other, tape).detach() - before).abs().amax({0, 2});
  };
  EXPECT_EQ(largest(change(3)), 0);
  EXPECT_EQ(change(2)[0].item<double>(), 0);
  EXPECT_GT(change(2)[1].item<double>(), 1e-3);
  EXPECT_GT(change(0)[0].item<double>(), 1e-3);
}

TEST(Transformer, RefusesShapesAndTokensThatDoNotFit) {
  auto shape = slingshot_shape();
  shape.heads = 3;
  EXPECT_THROW(Transformer(shape, 1), InternalError);
  shape = slingshot_shape();
  shape.read = {2, 2};
  EXPECT_THROW(Transformer(shape, 1), InternalError);
  shape.read = {4};
  EXPECT_THROW(Transformer(shape, 1), InternalError);
  const auto m = small_plain_transformer(4);
  auto tape = Tape::inactive();
  EXPECT_THROW(m.model->forward(m.inputs.slice(1, 0, 3), tape), InternalError);
  auto other = m.inputs.clone();
  other[2][3] = 1;  // declared to be 7 in every example: the Gram matrix would be wrong
  EXPECT_NO_THROW(m.model->forward(other, tape));
  EXPECT_THROW(backward_pass(*m.model, *m.loss, other, m.targets, Taping::on), InternalError);
}

}  // namespace
}  // namespace grokscope
