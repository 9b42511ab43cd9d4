// Has every paper's network the parameters that the paper, or its program, gives it, layer by layer?
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "experiments/01_power_grok/experiment.hpp"
#include "experiments/02_liu_effective/experiment.hpp"
#include "experiments/03_nanda_progress/experiment.hpp"
#include "experiments/04_wang_implicit/experiment.hpp"
#include "experiments/05_liu_omnigrok/experiment.hpp"
#include "experiments/06_humayun_deep/experiment.hpp"
#include "experiments/07_thilak_slingshot/experiment.hpp"
#include "experiments/08_doshi_polynomials/experiment.hpp"
#include "experiments/09_levi_linear/experiment.hpp"
#include "experiments/10_minegishi_tickets/experiment.hpp"
#include "experiments/task_with.hpp"

namespace grokscope {
namespace {

using Layers = std::vector<std::pair<std::string, std::int64_t>>;

Layers layers_of(const Experiment& experiment, const std::map<std::string, std::string>& keys = {}) {
  const auto task = unbuilt_task_with(experiment, keys);
  task->build_model({});
  Layers layers;
  for (const auto& layer : task->model().parameters.layers())
    layers.emplace_back(layer.name, layer.range.end - layer.range.begin);
  return layers;
}

std::int64_t total(const Layers& layers) {
  return std::accumulate(layers.begin(), layers.end(), std::int64_t{0},
                         [](std::int64_t sum, const auto& layer) { return sum + layer.second; });
}

/// The layers of one block, without the prefix of their names.
Layers block_of(const Layers& layers, const std::string& prefix) {
  Layers block;
  for (const auto& [name, size] : layers) {
    if (name.starts_with(prefix)) block.emplace_back(name.substr(prefix.size()), size);
  }
  return block;
}

/// Those of a stack of layers that are called <prefix>.0, <prefix>.1, ...
Layers stack(const std::string& prefix, const std::vector<std::int64_t>& sizes) {
  Layers layers;
  for (std::size_t l = 0; l < sizes.size(); ++l) layers.emplace_back(prefix + "." + std::to_string(l), sizes[l]);
  return layers;
}

TEST(Parameters, Power) {
  const auto layers = layers_of(power_grok());
  const Layers block{{"attn.W_Q", 16384}, {"attn.W_K", 16384}, {"attn.W_V", 16384}, {"attn.W_O", 16384},
                     {"mlp.in", 65536},   {"mlp.out", 65536},  {"norm_1", 256},     {"norm_2", 256}};
  for (const std::string prefix : {"blocks.0.", "blocks.1."}) {
    auto found = block_of(layers, prefix);
    EXPECT_EQ(total(found), 197120);
    EXPECT_TRUE(std::is_permutation(found.begin(), found.end(), block.begin(), block.end())) << prefix;
  }
  EXPECT_EQ(layers.front(), (Layers::value_type{"embed", 30592}));
  EXPECT_EQ(layers.back(), (Layers::value_type{"unembed", 30592}));
  EXPECT_EQ(layers.size(), 18U);
  EXPECT_EQ(total(layers), 455424);
}

TEST(Parameters, LiuEffective) {
  const auto regression = layers_of(liu_effective());
  EXPECT_EQ(regression.front(), (Layers::value_type{"embedding", 10}));
  EXPECT_EQ(block_of(regression, "decoder"), stack("", {400, 40200, 6030}));
  EXPECT_EQ(total(regression), 46640);
  const auto classification = layers_of(liu_effective(), {{"data.task", "classification"}});
  EXPECT_EQ(block_of(classification, "decoder"), stack("", {400, 40200, 3819}));
  EXPECT_EQ(total(classification), 44429);
}

TEST(Parameters, Nanda) {
  const auto layers = layers_of(nanda_progress());
  EXPECT_EQ(layers, (Layers{{"embed", 14592},
                            {"pos_embed", 384},
                            {"blocks.0.attn.W_Q", 16384},
                            {"blocks.0.attn.W_K", 16384},
                            {"blocks.0.attn.W_V", 16384},
                            {"blocks.0.attn.W_O", 16384},
                            {"blocks.0.mlp.in", 66048},
                            {"blocks.0.mlp.out", 65664},
                            {"unembed", 14592}}));
  EXPECT_EQ(total(layers), 226816);
}

/// One block of the eight, and 2,208 tokens of 52,464: the others are alike.
TEST(Parameters, Wang) {
  const auto layers = layers_of(
      wang_implicit(), {{"model.blocks", "1"}, {"model.vocabulary", "2208"}, {"model.position_rows", "1024"}});
  std::map<std::string, std::int64_t> found(layers.begin(), layers.end());
  const auto block = block_of(layers, "blocks.0.");
  const Layers expected{{"attn.W_Q", 590592}, {"attn.W_K", 590592}, {"attn.W_V", 590592},
                        {"attn.W_O", 590592}, {"mlp.in", 2362368},  {"mlp.out", 2360064},
                        {"norm_1", 1536},     {"norm_2", 1536}};
  EXPECT_TRUE(std::is_permutation(block.begin(), block.end(), expected.begin(), expected.end()));
  EXPECT_EQ(total(block), 7087872);
  EXPECT_EQ(found.at("embed"), 2208 * 768);
  EXPECT_EQ(found.at("pos_embed"), 786432);
  EXPECT_EQ(found.at("final_norm"), 1536);
  EXPECT_EQ(layers.size(), 11U);  // the head is the embedding
  EXPECT_EQ(52464 * 768 + found.at("pos_embed") + 8 * total(block) + found.at("final_norm"), 97783296);
}

TEST(Parameters, Omnigrok) {
  const auto layers = layers_of(liu_omnigrok());
  EXPECT_EQ(layers, stack("layers", {157000, 40200, 2010}));
  EXPECT_EQ(total(layers), 199210);
  const auto student = layers_of(liu_omnigrok(), {{"data.source", "teacher_student"}, {"model.hidden", "[100, 100]"}});
  EXPECT_EQ(student, stack("layers", {600, 10100, 505}));
  EXPECT_EQ(total(student), 11205);
}

TEST(Parameters, Humayun) {
  const auto layers = layers_of(humayun_deep());
  EXPECT_EQ(layers, stack("layers", {157000, 40200, 40200, 2010}));
  EXPECT_EQ(total(layers), 239410);
}

TEST(Parameters, Slingshot) {
  const std::string width_512 = "[512, 512, 512, 512, 512]";
  const auto gaussian = layers_of(thilak_slingshot());
  EXPECT_EQ(gaussian, stack("layers", {2112, 4160, 4160, 4160, 4160, 650}));
  EXPECT_EQ(total(gaussian), 19402);
  const auto cifar = layers_of(thilak_slingshot(), {{"data.source", "cifar10"}, {"model.hidden", width_512}});
  EXPECT_EQ(cifar, stack("layers", {1573376, 262656, 262656, 262656, 262656, 5130}));
  EXPECT_EQ(total(cifar), 2629130);
  const auto division = layers_of(thilak_slingshot(), {{"data.source", "division"}, {"model.hidden", width_512}});
  EXPECT_EQ(division, stack("layers", {203264, 262656, 262656, 262656, 262656, 49761}));
  EXPECT_EQ(total(division), 1303649);
  const auto transformer =
      layers_of(thilak_slingshot(), {{"data.source", "division"}, {"model.kind", "transformer"}});
  EXPECT_EQ(transformer.front(), (Layers::value_type{"embed", 12672}));
  EXPECT_EQ(transformer.back(), (Layers::value_type{"unembed", 12672}));
  EXPECT_EQ(total(block_of(transformer, "blocks.0.")), 197120 - 512);  // Power's block without its norms
  EXPECT_EQ(total(transformer), 418560);
  const auto with_norms = layers_of(thilak_slingshot(),
                                    {{"data.source", "division"}, {"model.kind", "transformer"}, {"model.norm", "post"}});
  EXPECT_EQ(total(block_of(with_norms, "blocks.0.")), 197120);
  EXPECT_EQ(total(with_norms), 455424 - 2 * 140 * 128);  // Power's network with 99 words in place of 239
}

TEST(Parameters, Doshi) {
  const auto layers = layers_of(doshi_polynomials());
  EXPECT_EQ(layers, (Layers{{"U_1", 48500}, {"U_2", 48500}, {"W", 48500}}));
  EXPECT_EQ(total(layers), 145500);
}

TEST(Parameters, Levi) {
  EXPECT_EQ(layers_of(levi_linear()), (Layers{{"linear", 1000}}));
  const auto two = layers_of(levi_linear(), {{"data.d_out", "5"}, {"data.n_test", "10"}, {"model.hidden", "50"}});
  EXPECT_EQ(two, stack("layers", {50000, 250}));
}

TEST(Parameters, Minegishi) {
  const auto layers = layers_of(minegishi_tickets());
  EXPECT_EQ(layers, (Layers{{"embed", 33500}, {"mlp.in", 24000}, {"mlp.out", 24000}, {"unembed", 33500}}));
  EXPECT_EQ(total(layers), 115000);
}

}  // namespace
}  // namespace grokscope
