// Rows, and tiles of the lower triangle, against the product of explicit gradients: every part of them, whoever asks for it.
#include "gop/dense_rows.hpp"

#include <gtest/gtest.h>

#include "every_rank_test.hpp"
#include "gop/small_models.hpp"
#include "gradients/explicit_gradients.hpp"
#include "gradients/peak_memory.hpp"

namespace grokscope {
namespace {

class DenseRowsTest : public EveryRankTest {
 protected:
  /// Tiles `which` as this rank gets them, [tiles, width, width]. Collective.
  static at::Tensor tiles_of(const GradientMatrix& g, IndexRange parameters, IndexRange which) {
    const auto tiles = LowerTiles::of(parameters.size());
    auto out = at::full({which.size(), tiles.width, tiles.width}, 7, at::kDouble);
    fill_lower_tiles(g, parameters, which, {out.data_ptr<double>(), static_cast<std::size_t>(out.numel())});
    return out;
  }
};

/// More examples than a chunk has, and parameters that fill two tiles and a part of a third.
at::Tensor random_gradients() { return normal_init({600, 600}, 1, 3, "g"); }

TEST(LowerTiles, CountRowByRow) {
  const auto tiles = LowerTiles::of(600);
  EXPECT_EQ(tiles.width, 256);
  EXPECT_EQ(tiles.count(), 6);
  std::int64_t k = 0;
  for (std::int64_t row = 0; row < 300; ++row) {
    for (std::int64_t col = 0; col <= row; ++col) ASSERT_EQ(tiles.place(k++), std::pair(row, col));
  }
  for (const std::int64_t row : {2'000'000'000LL, 3'037'000'498LL}) {  // where the square root rounds
    const auto first = row % 2 == 0 ? row / 2 * (row + 1) : (row + 1) / 2 * row;
    EXPECT_EQ(tiles.place(first), std::pair(row, std::int64_t{0}));
    EXPECT_EQ(tiles.place(first - 1), std::pair(row - 1, row - 1));
    EXPECT_EQ(tiles.place(first + row), std::pair(row, row));
  }
  EXPECT_EQ(LowerTiles::of(5).count(), 1);
  EXPECT_EQ(LowerTiles::of(5).width, 5);
}

TEST_F(DenseRowsTest, TilesAreThoseOfTheProduct) {
  const auto explicit_g = random_gradients();
  const auto g = given_gradients(comm, explicit_g);
  const auto tiles = LowerTiles::of(600);
  auto padded = at::zeros({768, 768}, at::kDouble);
  padded.slice(0, 0, 600).slice(1, 0, 600).copy_(at::mm(explicit_g.t(), explicit_g) / 600);
  const auto expected = [&](std::int64_t k) {
    const auto [row, col] = tiles.place(k);
    return padded.slice(0, 256 * row, 256 * (row + 1)).slice(1, 256 * col, 256 * (col + 1));
  };
  for (const IndexRange which : {IndexRange{0, 6}, {0, 1}, {1, 2}, {2, 5}, {4, 5}, {5, 6}}) {
    const auto found = tiles_of(g, {0, 600}, which);
    for (auto k = which.begin; k < which.end; ++k) {
      EXPECT_TRUE(at::allclose(found[k - which.begin], expected(k), 1e-12, 1e-12)) << "tile " << k;
    }
  }
  // Each rank asks for other tiles, and some for none.
  const auto mine = even_share(tiles.count(), comm.size(), comm.rank());
  const auto found = tiles_of(g, {0, 600}, mine);
  for (auto k = mine.begin; k < mine.end; ++k) EXPECT_TRUE(at::allclose(found[k - mine.begin], expected(k), 1e-12, 1e-12));
}

TEST_F(DenseRowsTest, RowsAndTilesOfALayerNeedNoOtherTaps) {
  const auto g = gradients_of_many_tokens(comm, 600);
  const IndexRange layer{32, 48};
  std::vector<double> rows(16 * 16);
  EXPECT_LT(peak_tensor_bytes([&] { fill_dense_rows(g, {layer, layer}, {0, 16}, rows); }), 512 * 12 * 4096 / 3);
  EXPECT_LT(peak_tensor_bytes([&] { tiles_of(g, layer, {0, 1}); }), 512 * 12 * 4096 / 3);
}

TEST_F(DenseRowsTest, ABlockOfRowsAndOtherColumnsIsThatOfTheProduct) {
  const auto m = small_transformer(19);
  const auto g = gradients_of(comm, m);
  const auto explicit_g = explicit_gradients(*m.model, *m.loss, m.inputs, m.targets);
  const auto p = g.cols();
  const auto whole = explicit_g.t().mm(explicit_g) / 19;
  for (const auto& block : {GopBlock{{3, 30}, {p - 20, p - 1}}, GopBlock{{p / 2, p / 2 + 40}, {0, p}}}) {
    const auto mine = even_share(block.rows.size(), comm.size(), comm.rank());
    auto out = at::empty({mine.size(), block.cols.size()}, at::kDouble);
    fill_dense_rows(g, block, mine, {out.data_ptr<double>(), static_cast<std::size_t>(out.numel())});
    const auto expected = whole.slice(0, block.rows.begin + mine.begin, block.rows.begin + mine.end)
                              .slice(1, block.cols.begin, block.cols.end);
    EXPECT_TRUE(at::allclose(out, expected, 1e-12, 1e-13));
  }
}

TEST_F(DenseRowsTest, TilesOfALayerAreOfItsParametersOnly) {
  const auto m = small_transformer(19);
  const auto g = gradients_of(comm, m);
  for (const auto& layer : m.model->parameters.layers()) {
    const auto size = layer.range.size();
    std::vector<double> rows(static_cast<std::size_t>(size * size));
    fill_dense_rows(g, {layer.range, layer.range}, {0, size}, rows);
    const auto tile = tiles_of(g, layer.range, {0, 1})[0];
    ASSERT_EQ(tile.size(0), size);
    EXPECT_TRUE(at::allclose(tile, at::from_blob(rows.data(), {size, size}, at::kDouble), 1e-12, 1e-15)) << layer.name;
  }
}

}  // namespace
}  // namespace grokscope
