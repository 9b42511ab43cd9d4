// Which side is diagonalised, at sizes where the answer can be worked out by hand.
#include "gop/side.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace grokscope {
namespace {

SideRequest sizes(std::int64_t n, std::int64_t p, double macs_per_pair) {
  return {n, p, macs_per_pair, 1, "auto", 8};
}

TEST(Side, FewExamplesOfManyParametersGoGram) {
  EXPECT_EQ(choose_side(sizes(3830, 226816, 5000)).side, Side::gram);
  EXPECT_EQ(choose_side(sizes(100, 10000, 10000)).side, Side::gram);
}

TEST(Side, ManyExamplesOfFewParametersGoDense) {
  EXPECT_EQ(choose_side(sizes(3830, 128, 129)).side, Side::dense);
  EXPECT_EQ(choose_side(sizes(1111, 1000, 2000)).side, Side::dense);
}

TEST(Side, CheaperGramKernelsMoveTheBorder) {
  // N = P = 100: both solves cost 2/3 1e6, the panel 100 * 1e4 / 2 = 5e5, the Gram matrix 5e3 c.
  EXPECT_EQ(choose_side(sizes(100, 100, 100)).side, Side::gram);
  EXPECT_EQ(choose_side(sizes(100, 100, 101)).side, Side::dense);
  // N = 120, P = 100: 7200 c + 1.152e6 against 6e5 + 6.667e5: equal at c = 15.93.
  EXPECT_EQ(choose_side(sizes(120, 100, 15)).side, Side::gram);
  EXPECT_EQ(choose_side(sizes(120, 100, 16)).side, Side::dense);
}

TEST(Side, AMatrixThatDoesNotFitGoesGramAtAnyCost) {
  auto request = sizes(100000, 10000, 1e6);  // P x P: .8 GB
  request.memory_per_rank_gb = 0.81;
  EXPECT_EQ(choose_side(request).side, Side::dense);
  request.memory_per_rank_gb = 0.79;
  EXPECT_EQ(choose_side(request).side, Side::gram);
  request.ranks = 2;  // .4 GB each
  EXPECT_EQ(choose_side(request).side, Side::dense);
}

TEST(Side, TheConfigurationDecidesWhenItNamesASide) {
  auto request = sizes(10, 1000, 10);
  request.wanted = "dense";
  EXPECT_EQ(choose_side(request).side, Side::dense);
  request = sizes(1000, 10, 1000);
  request.wanted = "gram";
  EXPECT_EQ(choose_side(request).side, Side::gram);
}

TEST(Side, AnUnknownNameIsAUserErrorThatSaysWhatIsKnown) {
  auto request = sizes(10, 10, 10);
  request.wanted = "grma";
  try {
    choose_side(request);
    FAIL() << "accepted";
  } catch (const UserError& error) {
    const std::string text = error.what();
    for (const char* word : {"gop_tracking.path", "grma", "auto", "gram", "dense"}) {
      EXPECT_NE(text.find(word), std::string::npos) << text;
    }
  }
}

TEST(Side, TheReasonNamesTheSizes) {
  const auto choice = choose_side(sizes(77, 1234, 50));
  EXPECT_NE(choice.reason.find("N = 77"), std::string::npos) << choice.reason;
  EXPECT_NE(choice.reason.find("P = 1234"), std::string::npos) << choice.reason;
}

}  // namespace
}  // namespace grokscope
