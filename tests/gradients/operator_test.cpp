// Every question asked of G, against explicit gradients, for every layer type and full model, on several rank counts and
// grids, with uneven shards and ranks that hold no example.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/dataset.hpp"
#include "every_rank_test.hpp"
#include "gop/small_models.hpp"
#include "gradients/explicit_gradients.hpp"
#include "gradients/gram.hpp"
#include "gradients/panel.hpp"
#include "gradients/peak_memory.hpp"
#include "gradients/products.hpp"
#include "nn/embedding_mlp.hpp"
#include "nn/folded_mlp.hpp"
#include "nn/layers.hpp"
#include "nn/sequence_models.hpp"
#include "nn/transformer_shapes.hpp"

namespace grokscope {
namespace {

const auto kNoPoll = [] {};

/// A tied embedding: the same table reads tokens in and scores them out, so its two uses have cross terms.
class TiedModel : public Model {
 public:
  TiedModel() {
    parameters.add("E", "embed", normal_init({7, 5}, 0.7, 3, "E"));
    parameters.add("W", "mlp", normal_init({5, 5}, 0.7, 3, "W"));
    parameters.add("b", "mlp", normal_init({5}, 0.7, 3, "b"));
  }
  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override {
    const auto rows = at::embedding(parameters[0].value, inputs);  // [n, 2, 5]
    const auto h = at::tanh(linear(rows.sum(1), parameters[1], &parameters[2], tape));
    const auto logits = at::mm(h, parameters[0].value.t());
    if (tape.is_active()) {
      const auto r = tape.observe(rows), l = tape.observe(logits);
      tape.record(parameters[0], [=](const Tape::Gradients& b) {
        return Use{Factor::one_hot(inputs, 7), Factor::dense(b[r], 1, 2), 1, 2};
      });
      tape.record(parameters[0], [l, x = h.detach()](const Tape::Gradients& b) {
        return Use{Factor::dense(b[l]), Factor::dense(x)};
      });
    }
    return logits;
  }
};

std::vector<SmallModel> cases(std::int64_t n) {
  std::vector<SmallModel> result;
  result.push_back({"linear", std::make_shared<LinearModel>(normal_init({3, 6}, 0.5, 1, "S")), regression_mse(1e-3),
                    normal_init({n, 6}, 1, 2, "x"), normal_init({n, 3}, 1, 2, "y")});
  result.push_back({"relu MLP with biases", std::make_shared<Mlp>(MlpShape{{6, 9, 7, 4}, "relu", true}, 2.0, 5),
                    one_hot_mse(at::kDouble), normal_init({n, 6}, 1, 2, "x"), residues(n, 4, "y", 1)});
  result.push_back({"tanh MLP without biases", std::make_shared<Mlp>(MlpShape{{6, 9, 4}, "tanh", false}, 1.0, 5),
                    cross_entropy(at::kDouble), normal_init({n, 6}, 1, 2, "x"), residues(n, 4, "y", 1)});
  result.push_back({"power MLP", std::make_shared<PowerMlp>(PowerMlpShape{5, 8, 2, 0.5}, 7), one_hot_mse(at::kDouble),
                    residues(n, 5, "x", 2), residues(n, 5, "y", 1)});
  result.push_back({"power MLP, three terms", std::make_shared<PowerMlp>(PowerMlpShape{5, 8, 3, 0.5}, 7),
                    one_hot_mse(at::kDouble), residues(n, 5, "x", 3), residues(n, 5, "y", 1)});
  result.push_back({"transformer", std::make_shared<OneLayerTransformer>(OneLayerTransformerShape{5, 8, 2, 12}, 9),
                    cross_entropy(at::kDouble), residues(n, 5, "x", 2), residues(n, 5, "y", 1)});
  result.push_back({"folded MLP", std::make_shared<FoldedMlp>(FoldedMlpShape{5, 8, 6}, 9), cross_entropy(at::kDouble),
                    residues(n, 5, "x", 2), residues(n, 5, "y", 1)});
  result.push_back({"sum of embeddings and an MLP",
                    std::make_shared<EmbeddingMlp>(EmbeddingMlpShape{5, {{1, 8, 6}, "tanh", true}, 2.0, 1.5}, 9),
                    template_mse(normal_init({9, 6}, 1, 2, "Y"), at::kDouble), residues(n, 5, "x", 2),
                    residues(n, 9, "y", 1)});
  result.push_back({"sum of embeddings of three tokens",
                    std::make_shared<EmbeddingMlp>(EmbeddingMlpShape{5, {{3, 7, 4}, "relu", false}, 2.0, 1.5}, 9),
                    plain_cross_entropy(at::kDouble), residues(n, 5, "x", 3), residues(n, 4, "y", 1)});
  result.push_back({"tied", std::make_shared<TiedModel>(), cross_entropy(at::kDouble), residues(n, 7, "x", 2),
                    residues(n, 7, "y", 1)});
  for (const auto& models : {sequence_blocks(n), small_transformers(n)}) {
    result.insert(result.end(), models.begin(), models.end());
  }
  return result;
}

class OperatorTest : public EveryRankTest {
 protected:
  /// Uneven on purpose: the last rank gets nothing when there are several.
  IndexRange my_share(std::int64_t n) const {
    return comm.size() == 1 ? IndexRange{0, n}
           : comm.rank() + 1 == comm.size() ? IndexRange{n, n} : even_share(n, comm.size() - 1, comm.rank());
  }
  GradientMatrix gradients_of(const SmallModel& c) const {
    const auto share = my_share(c.inputs.size(0));
    auto pass = backward_pass(*c.model, *c.loss, c.inputs.slice(0, share.begin, share.end),
                              c.targets.slice(0, share.begin, share.end), Taping::on);
    return GradientMatrix(comm, std::move(pass.taps));
  }
  std::vector<std::pair<int, int>> grids() const {
    std::vector<std::pair<int, int>> result{{1, 1}};
    for (int rows = 1; rows <= comm.size(); ++rows) {
      if (comm.size() % rows == 0) result.emplace_back(rows, comm.size() / rows);
    }
    if (comm.size() > 2) result.emplace_back(1, comm.size() - 1);
    return result;
  }
};

/// This rank's part of a distributed matrix, and its comparison with the whole.
struct LocalMatrix {
  BlockCyclicTarget target;
  std::vector<double> values;
  int rank;

  LocalMatrix(std::int64_t m, std::int64_t n, std::int64_t nb, std::pair<int, int> grid, int my_rank) : rank(my_rank) {
    target.row_dist = {m, nb, grid.first};
    target.col_dist = {n, nb, grid.second};
    const bool member = target.has(rank);
    const auto rows = member ? target.row_dist.local_count(target.grid_row(rank)) : 0;
    const auto cols = member ? target.col_dist.local_count(target.grid_col(rank)) : 0;
    target.ld = std::max<std::int64_t>(1, rows) + 1;  // padded, so that a wrong leading dimension shows
    values.assign(static_cast<std::size_t>(target.ld * std::max<std::int64_t>(1, cols)), 0.0);
    target.local = values;
  }
  /// Largest difference to `whole`, below and on the diagonal only when `lower`.
  double worst(const at::Tensor& whole, bool lower) const {
    if (!target.has(rank)) return 0;
    double error = 0;
    const auto expected = whole.accessor<double, 2>();
    const auto pr = target.grid_row(rank), pc = target.grid_col(rank);
    for (std::int64_t j = 0; j < target.col_dist.local_count(pc); ++j) {
      for (std::int64_t i = 0; i < target.row_dist.local_count(pr); ++i) {
        const auto gi = target.row_dist.global_index(i, pr), gj = target.col_dist.global_index(j, pc);
        if (lower && gi < gj) continue;
        error = std::max(error, std::abs(values[static_cast<std::size_t>(i + j * target.ld)] - expected[gi][gj]));
      }
    }
    return error / whole.abs().max().item<double>();
  }
};

TEST_F(OperatorTest, GramEqualsExplicitGradients) {
  for (const auto& c : cases(23)) {
    const auto explicit_g = explicit_gradients(*c.model, *c.loss, c.inputs, c.targets);
    const auto whole = explicit_g.mm(explicit_g.t());
    const auto g = gradients_of(c);
    ASSERT_EQ(g.cols(), c.model->parameters.total());
    for (const auto& grid : grids()) {
      for (const auto part : {Part::whole, Part::lower}) {
        LocalMatrix k(23, 23, 4, grid, comm.rank());
        GramBuilder(g, g, k.target).add({0, g.cols()}, part, k.target, kNoPoll);
        EXPECT_LT(k.worst(whole, part == Part::lower), 1e-12) << c.name << " on " << grid.first << "x" << grid.second;
      }
    }
  }
}

TEST_F(OperatorTest, GramOfEachLayerEqualsExplicitGradients) {
  for (const auto& c : cases(17)) {
    const auto explicit_g = explicit_gradients(*c.model, *c.loss, c.inputs, c.targets);
    const auto g = gradients_of(c);
    for (const auto& layer : c.model->parameters.layers()) {
      const auto columns = explicit_g.slice(1, layer.range.begin, layer.range.end);
      LocalMatrix k(17, 17, 3, grids().back(), comm.rank());
      GramBuilder(g, g, k.target).add(layer.range, Part::whole, k.target, kNoPoll);
      EXPECT_LT(k.worst(columns.mm(columns.t()), false), 1e-12) << c.name << " " << layer.name;
    }
  }
}

TEST_F(OperatorTest, GramBetweenTwoSplitsEqualsExplicitGradients) {
  const auto first = cases(19), second = cases(12);
  for (std::size_t i = 0; i < first.size(); ++i) {
    auto other = second[i];
    if (other.inputs.is_floating_point()) other.inputs = other.inputs * 1.5 + 0.1;
    const auto whole = explicit_gradients(*first[i].model, *first[i].loss, first[i].inputs, first[i].targets)
                           .mm(explicit_gradients(*other.model, *other.loss, other.inputs, other.targets).t());
    const auto g = gradients_of(first[i]), g2 = gradients_of(other);
    LocalMatrix k(19, 12, 4, grids().back(), comm.rank());
    GramBuilder(g, g2, k.target).add({0, g.cols()}, Part::whole, k.target, kNoPoll);
    EXPECT_LT(k.worst(whole, false), 1e-12) << first[i].name;
  }
}

/// Equations of five residues: in the first block a constant, or one of few rows, stands at most tokens.
SmallModel equations_of_few_residues(std::int64_t n, const char* seed) {
  auto shape = power_shape();
  shape.vocabulary = 12, shape.d_model = 8, shape.heads = 2, shape.d_mlp = 20;
  auto inputs = residues(n, 5, seed, 6) + 5;
  for (const auto& f : shape.fixed_tokens) inputs.select(1, f.position).fill_(f.token);
  return {"equations", std::make_shared<Transformer>(shape, 3), token_cross_entropy(at::kDouble), inputs,
          residues(n, 12, "y", 2)};
}

TEST_F(OperatorTest, InputsThatRepeatAreUsedOnceAndChangeNothing) {
  const auto m = equations_of_few_residues(600, "x"), other = equations_of_few_residues(300, "z");
  const auto rows = explicit_gradients(*m.model, *m.loss, m.inputs, m.targets);
  const auto cols = explicit_gradients(*other.model, *other.loss, other.inputs, other.targets);
  const auto g = gradients_of(m), g2 = gradients_of(other);
  for (const auto& grid : grids()) {
    for (const auto part : {Part::whole, Part::lower}) {
      LocalMatrix k(600, 600, 32, grid, comm.rank());
      GramBuilder(g, g, k.target).add({0, g.cols()}, part, k.target, kNoPoll);
      EXPECT_LT(k.worst(rows.mm(rows.t()), part == Part::lower), 1e-12) << grid.first << "x" << grid.second;
      if (part == Part::whole || grid != std::pair{1, 1} || !comm.is_root()) continue;
      EXPECT_EQ(k.values[static_cast<std::size_t>(599 * k.target.ld)], 0) << "a tile above the diagonal was made";
    }
    LocalMatrix k(600, 300, 32, grid, comm.rank());
    GramBuilder(g, g2, k.target).add({0, g.cols()}, Part::whole, k.target, kNoPoll);
    EXPECT_LT(k.worst(rows.mm(cols.t()), false), 1e-12) << grid.first << "x" << grid.second;
  }
}

TEST_F(OperatorTest, PanelEqualsExplicitGradients) {
  for (const auto& c : cases(15)) {
    const auto explicit_g = explicit_gradients(*c.model, *c.loss, c.inputs, c.targets);
    const auto g = gradients_of(c);
    std::vector<IndexRange> ranges{{0, g.cols()}};
    for (const auto& layer : c.model->parameters.layers()) ranges.push_back(layer.range);
    for (const auto& range : ranges) {
      const auto columns = explicit_g.slice(1, range.begin, range.end);
      for (const auto part : {Part::whole, Part::lower}) {
        LocalMatrix m(range.size(), range.size(), 8, grids().back(), comm.rank());
        add_panel(g, range, part, m.target, kNoPoll);
        EXPECT_LT(m.worst(columns.t().mm(columns), part == Part::lower), 1e-12) << c.name;
      }
    }
  }
}

/// Six hundred examples of y = W x, W 10 x 40: tiles of 256, chunks of 512 and blocks of 256 columns are all exceeded.
struct LargeLinear {
  SmallModel model = small_linear(600, 40, 10);
  at::Tensor x = model.inputs;
  at::Tensor r = 2 * (x.mm(model.model->parameters[0].value.detach().t()) - model.targets) / 10.0;  ///< d loss_i / d output

  at::Tensor gradients() const { return (r.unsqueeze(2) * x.unsqueeze(1)).reshape({600, 400}); }
};

TEST_F(OperatorTest, ManyTilesOfAGramMatrixHaveItsClosedForm) {
  const LargeLinear m;
  const auto whole = m.x.mm(m.x.t()) * m.r.mm(m.r.t());
  const auto g = gradients_of(m.model);
  for (const auto& grid : grids()) {
    for (const auto part : {Part::whole, Part::lower}) {
      LocalMatrix k(600, 600, 32, grid, comm.rank());
      GramBuilder(g, g, k.target).add({0, g.cols()}, part, k.target, kNoPoll);
      EXPECT_LT(k.worst(whole, part == Part::lower), 1e-12) << grid.first << "x" << grid.second;
      if (part == Part::whole || grid != std::pair{1, 1} || !comm.is_root()) continue;
      EXPECT_EQ(k.values[static_cast<std::size_t>(599 * k.target.ld)], 0) << "a tile above the diagonal was made";
    }
  }
}

TEST_F(OperatorTest, ManyChunksOfExamplesAddUp) {
  const LargeLinear m;
  const auto explicit_g = m.gradients();
  const auto g = gradients_of(m.model);
  for (const auto& grid : grids()) {
    for (const auto part : {Part::whole, Part::lower}) {
      LocalMatrix panel(400, 400, 32, grid, comm.rank());
      add_panel(g, {0, 400}, part, panel.target, kNoPoll);
      EXPECT_LT(panel.worst(explicit_g.t().mm(explicit_g), part == Part::lower), 1e-12) << grid.first << "x" << grid.second;
    }
  }
  const auto share = even_share(400, comm.size(), comm.rank());
  const auto u = normal_init({400, 2}, 1, 4, "u");
  EXPECT_LT(relative_error(apply(g, u.slice(0, share.begin, share.end)), explicit_g.mm(u)), 1e-12);
}

TEST_F(OperatorTest, FewVectorsOverAllParametersAreWholeAtATime) {
  const LargeLinear m;
  const auto g = gradients_of(m.model);
  const auto share = even_share(400, comm.size(), comm.rank());
  const auto v = normal_init({600, 64}, 1, 4, "v"), u = normal_init({400, 64}, 1, 4, "u").slice(0, share.begin, share.end);
  const std::int64_t shard = 64 * 8 * share.size(), products = 64 * 8 * 600, whole = 64 * 8 * 400, factors = 150'000;
  EXPECT_LT(peak_tensor_bytes([&] { weighted_sum(g, v, 4 * 400); }), shard + factors);
  EXPECT_GT(peak_tensor_bytes([&] { weighted_sum(g, v); }), shard + whole);
  if (comm.size() == 1) {
    EXPECT_LT(peak_tensor_bytes([&] { apply(g, u, 4 * 400); }), 2 * products + 2 * factors);
  }
}

TEST_F(OperatorTest, OneParametersTapsAreHeldAtATime) {
  const auto g = gradients_of_many_tokens(comm, 600);
  const std::int64_t all = 600 * 12 * 4096;
  for (const auto& grid : grids()) {
    LocalMatrix k(600, 600, 32, grid, comm.rank());
    const auto peak = peak_tensor_bytes([&] { GramBuilder(g, g, k.target).add({0, g.cols()}, Part::whole, k.target, kNoPoll); });
    EXPECT_LT(peak, all / 3) << grid.first << "x" << grid.second;
    if (k.target.has(comm.rank())) {
      EXPECT_GT(peak, 0) << "nothing was counted";
    }
  }
}

TEST_F(OperatorTest, APanelOfOneParameterNeedsNoOtherTaps) {
  const auto g = gradients_of_many_tokens(comm, 600);
  LocalMatrix panel(16, 16, 8, grids().back(), comm.rank());
  const auto peak = peak_tensor_bytes([&] { add_panel(g, {32, 48}, Part::whole, panel.target, kNoPoll); });
  EXPECT_LT(peak, 512 * 12 * 4096 / 3);
}

TEST_F(OperatorTest, OnlyTheTapsThatMeetARangeAreFetched) {
  const auto g = gradients_of_many_tokens(comm, 7);
  const auto offsets = [&](std::initializer_list<IndexRange> parameters) {
    const auto taps = g.fetch_rows(parameters, [](int) { return std::vector<std::int64_t>{2, 5}; });
    EXPECT_EQ(taps.n, 2);
    std::vector<std::int64_t> found;
    for (const auto& tap : taps.taps) found.push_back(tap.offset);
    return found;
  };
  EXPECT_EQ(offsets({{16, 32}}), (std::vector<std::int64_t>{16}));
  EXPECT_EQ(offsets({{15, 33}}), (std::vector<std::int64_t>{0, 16, 32}));
  EXPECT_EQ(offsets({{40, 41}, {3, 4}}), (std::vector<std::int64_t>{0, 32}));
}

TEST_F(OperatorTest, ProductsEqualExplicitGradients) {
  for (const auto& c : cases(15)) {
    const auto explicit_g = explicit_gradients(*c.model, *c.loss, c.inputs, c.targets);
    const auto g = gradients_of(c);
    const auto share = even_share(g.cols(), comm.size(), comm.rank());
    const auto v = normal_init({15, 3}, 1, 4, "v"), u = normal_init({g.cols(), 2}, 1, 4, "u");
    const auto sum = weighted_sum(g, v);
    if (share.size() > 0) {
      const auto expected = explicit_g.t().mm(v);
      EXPECT_LT(((sum - expected.slice(0, share.begin, share.end)).abs().max() / expected.abs().max()).item<double>(), 1e-12)
          << c.name;
    }
    for (const std::int64_t k : {1, 2}) {  // one column is contracted, two are applied to explicit gradients where T > 2
      const auto some = u.slice(1, 0, k);
      const auto applied = apply(g, some.slice(0, share.begin, share.end));
      EXPECT_LT(relative_error(applied, explicit_g.mm(some)), 1e-12) << c.name << " " << k;
    }
    EXPECT_TRUE(weighted_sum(g, v, 1).equal(sum)) << c.name << ", one vector at a time";
    EXPECT_TRUE(weighted_sum(g, v, 2 * g.cols()).equal(sum)) << c.name << ", two and one";
    EXPECT_LT(relative_error(apply(g, u.slice(0, share.begin, share.end), 1), explicit_g.mm(u)), 1e-12) << c.name;
    const auto inner = inner_products(comm, sum, sum);
    EXPECT_LT(relative_error(inner, v.t().mm(explicit_g).mm(explicit_g.t()).mm(v)), 1e-12) << c.name;
  }
}

TEST_F(OperatorTest, ATapedPassGivesTheSameGradientBitForBit) {
  for (const auto& c : cases(21)) {
    const auto plain = backward_pass(*c.model, *c.loss, c.inputs, c.targets, Taping::off);
    const auto taped = backward_pass(*c.model, *c.loss, c.inputs, c.targets, Taping::on);
    EXPECT_EQ(plain.loss_sum, taped.loss_sum);
    for (std::size_t k = 0; k < plain.gradients.size(); ++k) {
      EXPECT_TRUE(plain.gradients[k].equal(taped.gradients[k])) << c.name;
    }
    const auto explicit_g = explicit_gradients(*c.model, *c.loss, c.inputs, c.targets).sum(0);
    std::vector<at::Tensor> parts;
    for (const auto& gradient : plain.gradients) parts.push_back(gradient.reshape({-1}));
    EXPECT_LT(relative_error(at::cat(parts), explicit_g), 1e-12) << c.name;
  }
}

TEST_F(OperatorTest, Float32TapsKeepFloat32Accuracy) {
  for (auto& c : cases(23)) {
    c.model->parameters.convert(at::kCPU, at::kFloat);
    if (c.inputs.is_floating_point()) c.inputs = c.inputs.to(at::kFloat);
    if (c.targets.is_floating_point()) c.targets = c.targets.to(at::kFloat);
    const auto explicit_g = explicit_gradients(*c.model, *c.loss, c.inputs, c.targets);
    const auto g = gradients_of(c);
    LocalMatrix k(23, 23, 4, grids().back(), comm.rank());
    GramBuilder(g, g, k.target).add({0, g.cols()}, Part::whole, k.target, kNoPoll);
    EXPECT_LT(k.worst(explicit_g.mm(explicit_g.t()), false), 1e-5) << c.name;
  }
}

TEST(Materialise, AnyElementsOfAnyParameter) {
  for (const auto& c : cases(7)) {
    const auto g = explicit_gradients(*c.model, *c.loss, c.inputs, c.targets);
    const auto taps = backward_pass(*c.model, *c.loss, c.inputs, c.targets, Taping::on).taps;
    for (const std::int64_t step : {1, 2, 5}) {
      std::vector<std::int64_t> columns;  // every step-th stretch of three, across rows, biases and parameters
      for (std::int64_t j = 0; j < g.size(1); ++j) {
        if (j / 3 % step == step - 1) columns.push_back(j);
      }
      if (columns.empty()) continue;  // a model smaller than a step
      const auto expected = g.index_select(1, at::tensor(columns, at::kLong));
      EXPECT_LT(relative_error(materialise_columns(taps, columns), expected), 1e-12) << c.name << ", every " << step;
    }
  }
}

TEST(Materialise, MakesTheElementsThatAreAskedForAndNoOthers) {
  for (const std::int64_t tokens : {1, 3}) {
    // All elements of all examples would take 493 MB.
    const auto out = normal_init({512, tokens, 300}, 1, 8, "out"), in = normal_init({512, tokens, 401}, 1, 8, "in");
    const Use use{Factor::dense(out, 1, tokens), Factor::dense(in, 1, tokens), 1, tokens};
    const Taps taps{512, {{"W", "W", 1000, 300, 400, true, {use}}}};
    const std::vector<std::pair<std::int64_t, std::int64_t>> places{{0, 0},     {0, 1},     {0, 399}, {1, 0},   {7, 20},
                                                                    {299, 398}, {299, 399}, {0, 400}, {1, 400}, {299, 400}};
    std::vector<std::int64_t> columns;
    std::vector<at::Tensor> expected;
    for (const auto& [row, col] : places) {
      columns.push_back(1000 + (col < 400 ? 400 * row + col : 120'000 + row));
      expected.push_back((out.select(2, row) * in.select(2, col)).sum(1));
    }
    at::Tensor made;
    EXPECT_LT(peak_tensor_bytes([&] { made = materialise_columns(taps, columns); }), 1 << 20) << tokens << " tokens";
    EXPECT_LT(relative_error(made, at::stack(expected, 1)), 1e-12) << tokens << " tokens";
  }
}

TEST(Materialise, AChunkIsBoundedInExamplesAndBytes) {
  EXPECT_EQ(examples_at_once(0), 512);
  EXPECT_EQ(examples_at_once(1 << 16), 512);
  EXPECT_EQ(examples_at_once(1 << 20), 32);
  EXPECT_EQ(examples_at_once(std::int64_t{1} << 40), 1);
}

}  // namespace
}  // namespace grokscope
