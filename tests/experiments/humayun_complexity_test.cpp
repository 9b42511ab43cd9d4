// Local complexity of a network small enough to see its hyperplanes.
#include "experiments/06_humayun_deep/local_complexity.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/mlp.hpp"

namespace grokscope::humayun {
namespace {

/// Two hidden units whose boundaries are x = .5 and y = .5, and one output relu(x - .5) + relu(y - .5) + bias.
Mlp two_neurons(double output_bias) {
  Mlp model(MlpShape{{2, 2, 1}, "relu", true}, 1, 0);
  model.parameters.set_flat(at::tensor({1.0, 0.0, 0.0, 1.0, -0.5, -0.5, 1.0, 1.0, output_bias}, at::kDouble));
  return model;
}

std::int64_t at_point(const Model& model, double x, double y, const at::Tensor& directions, double radius) {
  return local_complexity(model, at::tensor({x, y}, at::kDouble).view({1, 2}), directions, radius).item<std::int64_t>();
}

TEST(LocalComplexity, CountsTheBoundariesWithinReach) {
  const auto model = two_neurons(10);
  const auto axes = at::eye(2, at::kDouble);
  EXPECT_EQ(at_point(model, 0.45, 0.1, axes, 0.1), 1);
  EXPECT_EQ(at_point(model, 0.55, 0.1, axes, 0.1), 1);  // from the other side
  EXPECT_EQ(at_point(model, 0.45, 0.1, axes, 0.04), 0);
  EXPECT_EQ(at_point(model, 0.45, 0.52, axes, 0.1), 2);
  EXPECT_EQ(at_point(model, 0.1, 0.1, axes, 0.1), 0);
  EXPECT_EQ(at_point(model, 0.9, 0.9, axes, 0.1), 0);
}

TEST(LocalComplexity, CountsTheOutput) {
  // At (.7, .1) the output is .2 + bias and moves by .1 along x.
  const auto axes = at::eye(2, at::kDouble);
  EXPECT_EQ(at_point(two_neurons(-0.25), 0.7, 0.1, axes, 0.1), 1);
  EXPECT_EQ(at_point(two_neurons(-0.35), 0.7, 0.1, axes, 0.1), 0);
}

TEST(LocalComplexity, ReachesAsFarAsItsDirectionsDo) {
  const auto diagonal = at::tensor({1.0, 1.0, 1.0, -1.0}, at::kDouble).view({2, 2}) / std::sqrt(2.0);
  const auto model = two_neurons(10);
  EXPECT_EQ(at_point(model, 0.45, 0.1, diagonal, 0.06), 0);  // reaches .0424 along x
  EXPECT_EQ(at_point(model, 0.45, 0.1, diagonal, 0.08), 1);  // .0566
  // One direction alone: nothing moves along the other.
  EXPECT_EQ(at_point(model, 0.45, 0.45, at::eye(2, at::kDouble).slice(0, 0, 1), 0.1), 1);
}

TEST(LocalComplexity, TakesEveryPointOnItsOwn) {
  const auto points = at::tensor({0.45, 0.1, 0.1, 0.1, 0.45, 0.52}, at::kDouble).view({3, 2});
  const auto found = local_complexity(two_neurons(10), points, at::eye(2, at::kDouble), 0.1);
  EXPECT_TRUE(found.equal(at::tensor(std::vector<std::int64_t>{1, 0, 2}, at::kLong)));
}

TEST(OrthonormalDirections, AreOrthonormalAndSeeded) {
  const auto v = orthonormal_directions(25, 784, 3);
  EXPECT_EQ(v.sizes(), at::IntArrayRef({25, 784}));
  EXPECT_LT((v.mm(v.t()) - at::eye(25, at::kDouble)).abs().max().item<double>(), 1e-13);
  EXPECT_TRUE(v.equal(orthonormal_directions(25, 784, 3)));
  EXPECT_FALSE(v.equal(orthonormal_directions(25, 784, 4)));
}

TEST(MeanLocalComplexity, IsTheSameForEveryNumberOfProcesses) {
  auto comm = Communicator::duplicate(MPI_COMM_WORLD);
  const Mlp model(MlpShape{{12, 30, 30, 4}, "relu", true}, 1, 5);
  for (const std::int64_t n : {1, 20, 47, 200}) {  // also fewer portions than ranks
    const auto points = uniform_init({n, 12}, 0.5, 2, "points") + 0.5;
    const auto directions = orthonormal_directions(5, 12, 1);
    const auto whole = local_complexity(model, points, directions, 0.2).to(at::kDouble).mean().item<double>();
    EXPECT_NEAR(mean_local_complexity(model, points, directions, 0.2, Spread(comm)), whole, 1e-13 * whole) << n;
    EXPECT_GT(whole, 1);
  }
  comm.free();
}

}  // namespace
}  // namespace grokscope::humayun
