// Gaussian inputs and a linear teacher's answers.
#include "data/teacher_student.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace grokscope {
namespace {

TEST(GaussianMatrix, HasStandardNormalMoments) {
  const auto x = gaussian_matrix(500, 200, 1, "x");
  EXPECT_EQ(x.scalar_type(), at::kDouble);
  const double n = 1e5;
  EXPECT_NEAR(x.mean().item<double>(), 0, 5 / std::sqrt(n));
  EXPECT_NEAR(x.square().mean().item<double>(), 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(x.pow(4).mean().item<double>(), 3, 5 * std::sqrt(96 / n));
}

TEST(GaussianMatrix, RowsAndColumnsAreIndependent) {
  const auto x = gaussian_matrix(400, 50, 1, "x");
  const auto covariance = x.t().mm(x) / 400 - at::eye(50, at::kDouble);
  EXPECT_LT(covariance.abs().max().item<double>(), 7 * std::sqrt(1.0 / 400));
  const auto between_rows = (x.slice(0, 0, 399) * x.slice(0, 1, 400)).mean().item<double>();
  EXPECT_NEAR(between_rows, 0, 5 / std::sqrt(399.0 * 50));
}

TEST(GaussianMatrix, ALongerDrawBeginsWithTheShorterOne) {
  const auto longer = gaussian_matrix(20, 7, 1, "x");
  EXPECT_TRUE(longer.slice(0, 0, 6).equal(gaussian_matrix(6, 7, 1, "x")));
  EXPECT_FALSE(longer.equal(gaussian_matrix(20, 7, 2, "x")));
  EXPECT_FALSE(longer.equal(gaussian_matrix(20, 7, 1, "y")));
}

TEST(TeacherExamples, TargetsAreTheTeachersAnswers) {
  const auto teacher = gaussian_matrix(6, 2, 9, "teacher");
  const auto examples = teacher_examples({6, 2, 15}, teacher, 4, "train", 100);
  ASSERT_EQ(examples.inputs.sizes(), at::IntArrayRef({15, 6}));
  ASSERT_EQ(examples.targets.sizes(), at::IntArrayRef({15, 2}));
  EXPECT_TRUE(examples.ids.equal(at::arange(100, 115, at::kLong)));
  for (std::int64_t i = 0; i < 15; ++i) {
    for (std::int64_t c = 0; c < 2; ++c) {
      double answer = 0;
      for (std::int64_t d = 0; d < 6; ++d)
        answer += teacher[d][c].item<double>() * examples.inputs[i][d].item<double>();
      EXPECT_NEAR(examples.targets[i][c].item<double>(), answer, 1e-13);
    }
  }
}

TEST(TeacherExamples, DifferentStreamsAreDifferentDraws) {
  const auto teacher = gaussian_matrix(40, 1, 9, "teacher");
  const auto train = teacher_examples({40, 1, 60}, teacher, 4, "train", 0);
  const auto test = teacher_examples({40, 1, 60}, teacher, 4, "test", 60);
  const auto correlation = (train.inputs * test.inputs).mean().item<double>();
  EXPECT_NEAR(correlation, 0, 5 / std::sqrt(2400.0));
  EXPECT_TRUE(teacher_examples({40, 1, 0}, teacher, 4, "test", 60).size() == 0);
}

}  // namespace
}  // namespace grokscope
