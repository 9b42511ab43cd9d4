// Tables of equations a op b = c (mod p): how many rows, which results, which ids.
#include "data/modular_arithmetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace grokscope {
namespace {

struct Row {
  std::int64_t id, a, b, c;
};

std::vector<Row> rows_of(const Dataset& table) {
  std::vector<Row> rows;
  for (std::int64_t i = 0; i < table.size(); ++i) {
    rows.push_back({table.ids[i].item<std::int64_t>(), table.inputs[i][0].item<std::int64_t>(),
                    table.inputs[i][1].item<std::int64_t>(), table.targets[i].item<std::int64_t>()});
  }
  return rows;
}

/// Non-negative remainder.
std::int64_t mod(std::int64_t value, std::int64_t p) {
  return (value % p + p) % p;
}

TEST(ModularArithmetic, KnownNames) {
  const std::set<std::string> names(modular_operations().begin(), modular_operations().end());
  EXPECT_EQ(names, (std::set<std::string>{"add", "cube_cross", "cube_square_cross", "divide", "multiply", "square_sum",
                                          "square_sum_cross", "square_sum_cross_linear", "subtract"}));
}

TEST(ModularArithmetic, EveryOrderedPairOnceInLexicographicOrder) {
  for (const auto& operation : modular_operations()) {
    const std::int64_t p = 7;
    const auto rows = rows_of(modular_table(p, operation));
    ASSERT_EQ(static_cast<std::int64_t>(rows.size()), operation == "divide" ? p * (p - 1) : p * p)
        << operation;
    std::set<std::pair<std::int64_t, std::int64_t>> pairs;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].id, rows[i].a * p + rows[i].b) << operation;
      if (i > 0) {
        EXPECT_GT(rows[i].id, rows[i - 1].id) << operation;
      }
      EXPECT_TRUE(rows[i].a >= 0 && rows[i].a < p && rows[i].b >= 0 && rows[i].b < p);
      EXPECT_TRUE(rows[i].c >= 0 && rows[i].c < p);
      pairs.insert({rows[i].a, rows[i].b});
    }
    EXPECT_EQ(pairs.size(), rows.size()) << operation;
  }
}

TEST(ModularArithmetic, ResultsSatisfyTheirEquation) {
  const std::int64_t p = 11;
  using Check = std::function<bool(const Row&)>;
  const std::map<std::string, Check> checks{
      {"add", [&](const Row& r) { return mod(r.a + r.b - r.c, p) == 0; }},
      {"subtract", [&](const Row& r) { return mod(r.b + r.c - r.a, p) == 0; }},
      {"multiply", [&](const Row& r) { return mod(r.a * r.b - r.c, p) == 0; }},
      {"divide", [&](const Row& r) { return r.b != 0 && mod(r.b * r.c - r.a, p) == 0; }},
      {"square_sum", [&](const Row& r) { return mod(r.a * r.a + r.b * r.b - r.c, p) == 0; }},
      {"square_sum_cross",
       [&](const Row& r) { return mod(r.a * r.a + r.a * r.b + r.b * r.b - r.c, p) == 0; }},
      {"square_sum_cross_linear", [&](const Row& r) { return mod(r.a * (r.a + r.b + 1) + r.b * r.b - r.c, p) == 0; }},
      {"cube_cross", [&](const Row& r) { return mod(r.a * (r.a * r.a + r.b) - r.c, p) == 0; }},
      {"cube_square_cross", [&](const Row& r) { return mod(r.a * (r.a * r.a + r.b * r.b) + r.b - r.c, p) == 0; }},
  };
  for (const auto& operation : modular_operations()) {
    for (const auto& row : rows_of(modular_table(p, operation))) {
      EXPECT_TRUE(checks.at(operation)(row))
          << operation << ": " << row.a << ", " << row.b << " -> " << row.c;
    }
  }
}

TEST(ModularArithmetic, ThePapersTablesHaveTheirSizes) {
  EXPECT_EQ(modular_table(113, "add").size(), 12769);
  EXPECT_EQ(modular_table(97, "divide").size(), 9312);
  const auto table = modular_table(113, "add");
  EXPECT_EQ(table.inputs.sizes(), at::IntArrayRef({12769, 2}));
  EXPECT_EQ(table.inputs.scalar_type(), at::kLong);
  EXPECT_EQ(table.targets.scalar_type(), at::kLong);
  for (const auto count : [&] {
         const auto counts = at::bincount(table.targets, {}, 113);
         return std::vector<std::int64_t>(counts.data_ptr<std::int64_t>(),
                                          counts.data_ptr<std::int64_t>() + 113);
       }()) {
    EXPECT_EQ(count, 113);  // every residue is met equally often
  }
}

TEST(ModularArithmetic, Primes) {
  std::vector<std::int64_t> primes;
  for (std::int64_t n = -3; n < 60; ++n) {
    if (is_prime(n)) primes.push_back(n);
  }
  EXPECT_EQ(primes,
            (std::vector<std::int64_t>{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59}));
}

TEST(ModularArithmetic, PrimitiveRootsGenerateEveryResidue) {
  const std::map<std::int64_t, std::int64_t> smallest{{3, 2},  {5, 2},  {7, 3},  {23, 5},
                                                      {41, 6}, {97, 5}, {113, 3}};
  for (const auto& [p, root] : smallest) {
    EXPECT_EQ(primitive_root(p), root);
    std::set<std::int64_t> met;
    for (std::int64_t k = 0, x = 1; k < p - 1; ++k, x = x * root % p) met.insert(x);
    EXPECT_EQ(static_cast<std::int64_t>(met.size()), p - 1);
  }
  EXPECT_EQ(primitive_root(2), 1);
  EXPECT_THROW(primitive_root(12), InternalError);
}

TEST(ModularSums, OfTwoAreTheTableOfAdditions) {
  const auto sums = modular_sums(7, 2), table = modular_table(7, "add");
  EXPECT_TRUE(sums.ids.equal(table.ids));
  EXPECT_TRUE(sums.inputs.equal(table.inputs));
  EXPECT_TRUE(sums.targets.equal(table.targets));
}

TEST(ModularSums, OfFourHaveEveryTupleOnceInOrder) {
  const auto sums = modular_sums(3, 4);
  ASSERT_EQ(sums.size(), 81);
  std::int64_t row = 0;
  for (std::int64_t a = 0; a < 3; ++a)
    for (std::int64_t b = 0; b < 3; ++b)
      for (std::int64_t c = 0; c < 3; ++c)
        for (std::int64_t d = 0; d < 3; ++d, ++row) {
          EXPECT_TRUE(sums.inputs[row].equal(at::tensor({a, b, c, d}, at::kLong)));
          EXPECT_EQ(sums.targets[row].item<std::int64_t>(), (a + b + c + d) % 3);
        }
}

}  // namespace
}  // namespace grokscope
