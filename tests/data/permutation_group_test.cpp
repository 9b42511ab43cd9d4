// Tables of permutations against permutation matrices and the axioms of a group.
#include "data/permutation_group.hpp"

#include <gtest/gtest.h>

namespace grokscope {
namespace {

/// M with row i the unit vector of x_i: M(x y) = M(x) M(y) when x y applies x first.
at::Tensor matrix_of(const std::vector<std::int64_t>& x) {
  const auto n = static_cast<std::int64_t>(x.size());
  auto m = at::zeros({n, n}, at::kLong);
  for (std::int64_t i = 0; i < n; ++i) m[i][x[static_cast<std::size_t>(i)]] = 1;
  return m;
}

TEST(PermutationGroup, ResultsAreProductsOfMatrices) {
  const auto elements = permutations_of(4);
  ASSERT_EQ(elements.size(), 24u);
  std::vector<at::Tensor> matrices;
  for (const auto& x : elements) matrices.push_back(matrix_of(x));
  for (const auto& operation : permutation_operations()) {
    const auto table = permutation_table(4, operation);
    ASSERT_EQ(table.size(), 576);
    for (std::int64_t i = 0; i < table.size(); ++i) {
      const auto at_row = [&](const at::Tensor& t) { return matrices[static_cast<std::size_t>(t.item<std::int64_t>())]; };
      const auto a = at_row(table.inputs[i][0]), b = at_row(table.inputs[i][1]), c = at_row(table.targets[i]);
      const auto ab = a.mm(b);
      const auto expected = operation == "product" ? ab : operation == "conjugation" ? ab.mm(a.t()) : ab.mm(a);
      EXPECT_TRUE(c.equal(expected)) << operation << " row " << i;
    }
  }
}

TEST(PermutationGroup, OfFiveObjectsIsALatinSquare) {
  const auto table = permutation_table(5, "product");
  EXPECT_EQ(table.size(), 14400);
  EXPECT_TRUE(table.ids.equal(table.inputs.select(1, 0) * 120 + table.inputs.select(1, 1)));
  const auto square = table.targets.view({120, 120}), all = at::arange(120, at::kLong);
  EXPECT_TRUE(std::get<0>(square.sort(1)).equal(all.expand({120, 120})));
  EXPECT_TRUE(std::get<0>(square.sort(0)).equal(all.unsqueeze(1).expand({120, 120})));
  EXPECT_TRUE(square[0].equal(all));  // number 0 is the identity
  EXPECT_FALSE(square.equal(square.t()));
}

}  // namespace
}  // namespace grokscope
