// Do the kernels of one parameter's Gram matrix, and the counts of what they cost, agree with explicit gradients?
// By pairs of tokens or from gradients made anew, with inputs that repeat among examples used once, and for parameters that
// have no kernel. On one process: operator_test.cpp has the distributed ones.
#include <gtest/gtest.h>

#include <cmath>

#include "data/dataset.hpp"
#include "gop/small_models.hpp"
#include "gradients/explicit_gradients.hpp"
#include "gradients/materialise.hpp"
#include "gradients/parameter_gram.hpp"
#include "nn/sequence_models.hpp"
#include "nn/transformer_shapes.hpp"

namespace grokscope {
namespace {

/// The Gram matrix of one parameter on this process alone.
at::Tensor gram_of(GramKernel kernel, const Tap& tap, std::int64_t n) {
  const auto exact = to_double(tap);
  auto tile = at::zeros({n, n}, at::kDouble).t();
  add_gram_tile(kernel, exact, {0, n}, exact, {0, n}, tile);
  return tile;
}
at::Tensor gram_of(const Tap& tap, std::int64_t n) { return gram_of(cheaper_kernel(tap), tap, n); }

TEST(FactorGram, TheCrossTermsOfATiedWeightCount) {
  const auto m = small_gpt(9);
  const auto g = explicit_gradients(*m.model, *m.loss, m.inputs, m.targets);
  const auto tap = backward_pass(*m.model, *m.loss, m.inputs, m.targets, Taping::on).taps.taps.front();
  ASSERT_EQ(tap.parameter, "embed.W_E");
  ASSERT_EQ(tap.uses.size(), 2u);
  const auto columns = g.slice(1, 0, tap.size());
  const auto whole = columns.mm(columns.t());
  EXPECT_LT(relative_error(gram_of(tap, 9), whole), 1e-12);
  auto without = at::zeros_like(whole);
  for (const auto& use : tap.uses) {
    auto alone = tap;
    alone.uses = {use};
    without += gram_of(alone, 9);
  }
  EXPECT_GT(relative_error(without, whole), 1e-2) << "this model would not show a missing cross term";
}

TEST(FactorGram, BothKernelsAreCheaperSomewhereAndAgree) {
  int structured = 0, materialised = 0;
  for (const auto& models : {sequence_blocks(300), small_transformers(300)}) {  // more than one tile
    for (const auto& m : models) {
      const auto taps = backward_pass(*m.model, *m.loss, m.inputs, m.targets, Taping::on).taps;
      for (const auto& tap : taps.taps) {
        (structured_macs_per_pair(tap) <= materialised_macs_per_pair(tap) ? structured : materialised) += 1;
        EXPECT_EQ(gram_macs_per_pair(tap), std::min(structured_macs_per_pair(tap), materialised_macs_per_pair(tap)));
        EXPECT_EQ(cheaper_kernel(tap) == GramKernel::structured, structured_macs_per_pair(tap) <= materialised_macs_per_pair(tap));
        const auto g = materialise(tap, 300);
        for (const auto kernel : {GramKernel::structured, GramKernel::materialised}) {
          if (kernel == GramKernel::structured && std::isinf(structured_macs_per_pair(tap))) continue;
          EXPECT_LT(relative_error(gram_of(kernel, tap, 300), g.mm(g.t())), 1e-12) << m.name << " " << tap.parameter;
        }
      }
    }
  }
  EXPECT_GT(structured, 10);
  EXPECT_GT(materialised, 10);
}

TEST(FactorGram, AMaterialisedParameterMayBeLargerThanOneSlab) {
  // Two groups of 120 rows and 141 columns: 16,920 numbers a group and example, more than a slab holds.
  const auto random = [](std::vector<std::int64_t> extents, const char* name) { return normal_init(std::move(extents), 1, 8, name); };
  const Use use{Factor::dense(random({7, 2, 20, 120}, "out"), 2, 20), Factor::dense(random({7, 2, 20, 141}, "in"), 2, 20), 2, 20};
  const Tap tap{"W", "W", 0, 240, 140, true, {use}};
  ASSERT_LT(materialised_macs_per_pair(tap), structured_macs_per_pair(tap));
  const auto g = materialise(tap, 7);
  EXPECT_LT(relative_error(gram_of(tap, 7), g.mm(g.t())), 1e-12);
}

TEST(ExplicitTaps, AParameterWithoutAKernelIsAnsweredAndSaysSo) {
  const auto blocks = sequence_blocks(11);
  const auto m = std::find_if(blocks.begin(), blocks.end(), [](const auto& b) { return b.name == "no kernel"; });
  ASSERT_NE(m, blocks.end());
  const auto taps = backward_pass(*m->model, *m->loss, m->inputs, m->targets, Taping::on).taps;
  ASSERT_EQ(taps.taps.size(), 3u);
  EXPECT_FALSE(taps.taps[0].has_kernel);
  EXPECT_FALSE(taps.taps[1].has_kernel);
  EXPECT_TRUE(taps.taps[2].has_kernel);
  EXPECT_EQ(gram_macs_per_pair(taps.taps[0]), 15);
  const auto g = explicit_gradients(*m->model, *m->loss, m->inputs, m->targets);
  for (const auto& tap : taps.taps) {
    EXPECT_LT(relative_error(materialise(tap, 11), g.slice(1, tap.offset, tap.offset + tap.size())), 1e-12) << tap.parameter;
  }
}

TEST(FactorGram, CountsTheMacsOfPaper01) {
  const Transformer model(power_shape(), 1);
  const auto loss = token_cross_entropy(at::kDouble);
  auto x = residues(8, 97, "x", 6) + 30;
  for (const auto& f : model.shape().fixed_tokens) x.select(1, f.position).fill_(f.token);
  const auto pass = backward_pass(model, *loss, x, residues(8, 97, "y", 2), Taping::on);
  double total = 0;
  for (const auto& tap : pass.taps.taps) total += gram_macs_per_pair(tap);
  const double d = 128, m = 512;
  const double embedding = 3 * d + (9 + 18) * d / 239;      // three fixed tokens, three free ones
  const double first = 36 * (4 * 2 * d + 2 * (d + m)) + 4 * d;
  const double last = 4 * (2 * 2 * d + 2 * (d + m)) + 4 * d  // two tokens
                      + 2 * 4 * 4 * (d / 4 + d);             // W_K and W_V by query and head
  EXPECT_NEAR(total, embedding + first + last + 4 * (d + 239), 1e-9);
}

/// Three tokens, d_in 30 and d_out 40: a constant, one of five rows, and rows of their own.
Tap tap_with_repeated_inputs(std::int64_t n) {
  auto in = normal_init({n, 3, 30}, 1, 8, "in");
  in.select(1, 0).copy_(normal_init({30}, 1, 8, "constant").expand({n, 30}));
  in.select(1, 1).copy_(normal_init({5, 30}, 1, 8, "five").index_select(0, residues(n, 5, "which", 1).reshape({-1})));
  const Use use{Factor::dense(normal_init({n, 3, 40}, 1, 8, "out"), 1, 3), Factor::dense(in, 1, 3), 1, 3};
  return {"W", "W", 0, 40, 30, false, {use}};
}

TEST(RepeatedInputs, EveryPairOfTokensHasOnePart) {
  const auto tap = tap_with_repeated_inputs(90);
  const RepeatedInputs repeated(tap, 90);
  ASSERT_FALSE(repeated.empty());
  EXPECT_EQ(repeated.others().uses[0].tokens, 1);
  EXPECT_TRUE(repeated.others().uses[0].in.values.select(2, 0).equal(tap.uses[0].in.values.select(2, 2)));
  const auto g = materialise(tap, 90), others = materialise(repeated.others(), 90);
  for (const bool by_columns : {false, true}) {  // both layouts
    auto block = by_columns ? at::ones({30, 70}, at::kDouble).t() : at::ones({70, 30}, at::kDouble);
    repeated.add({20, 90}, tap, {5, 35}, block);
    const auto expected = 1 + (g - others).slice(0, 20, 90).mm(g.slice(0, 5, 35).t());
    EXPECT_LT(relative_error(block, expected), 1e-12) << by_columns;
  }
  const ParameterGram gram({tap, 90}, {tap, 90});
  const double made = 2 * (1 + 5) / 90.0;  // v of both tokens, twice since only half of the pairs are wanted
  EXPECT_NEAR(gram.macs_per_pair(), (30 + 40) + 2 * (40 + 40) + made * (3 + 1) * (30 + 40), 1e-12);
  EXPECT_NEAR(expected_macs_per_pair({slice_rows(tap, {0, 40}), 40}, 90), gram.macs_per_pair(), 1e-12);
}

TEST(RepeatedInputs, OnlyInputsThatAreEqualToTheLastBitRepeat) {
  auto tap = tap_with_repeated_inputs(90);
  auto in = tap.uses[0].in.values;
  in[17][0][0][0] = std::nextafter(in[17][0][0][0].item<double>(), 10.0);
  const RepeatedInputs repeated(tap, 90);
  const double made = 2 * (2 + 5) / 90.0;
  EXPECT_NEAR(repeated.macs_per_pair(3), 2 * 40 + made * 3 * (30 + 40), 1e-12);
  EXPECT_EQ(repeated.macs_per_pair(0), 0);
  EXPECT_TRUE(RepeatedInputs(slice_rows(tap, {0, 7}), 7).empty()) << "an input must serve eight examples";
  EXPECT_TRUE(RepeatedInputs(slice_rows(tap, {0, 0}), 0).empty());
}

TEST(RepeatedInputs, AreNotUsedWhereTheySaveNothing) {
  for (const std::int64_t inputs : {1, 10}) {
    const auto in = at::stack({at::arange(80, at::kDouble).remainder(inputs), at::ones({80}, at::kDouble)}, 1);
    const Tap tap{"W", "W", 0, 30, 2, false, {{Factor::dense(normal_init({80, 30}, 1, 8, "out")), Factor::dense(in)}}};
    ASSERT_FALSE(RepeatedInputs(tap, 80).empty());
    const ParameterGram gram({tap, 80}, {tap, 80});
    EXPECT_EQ(gram.has_repeated_rows(), inputs == 1);
    EXPECT_NEAR(gram.macs_per_pair(), inputs == 1 ? 30 + 2 / 80.0 * (2 + 30) : 2 + 30, 1e-12);
  }
}

TEST(FactorGram, CountsTheMacsOfPaper03) {
  const OneLayerTransformer model(OneLayerTransformerShape{}, 1);
  EXPECT_EQ(model.parameters.total(), 226816);
  const auto loss = cross_entropy(at::kDouble);
  const auto pass = backward_pass(model, *loss, residues(8, 113, "x", 2), residues(8, 113, "y", 1), Taping::on);
  double total = 0;
  for (const auto& tap : pass.taps.taps) total += gram_macs_per_pair(tap);
  // W_E 128 + 8*128/114 (ids that may be equal), W_pos 3*128, Q 128, K 4*128, V 4*(32+128), O 256, in and out 512 + 129 and 513 + 128, U 242
  EXPECT_NEAR(total, 128 + 8 * 128 / 114.0 + 384 + 128 + 512 + 640 + 256 + 641 + 641 + 242, 1e-9);
}

}  // namespace
}  // namespace grokscope
