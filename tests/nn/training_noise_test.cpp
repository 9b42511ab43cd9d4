// Dropout masks: the right share, the right scale, one mask an example whatever its place in the batch.
#include "nn/training_noise.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.hpp"
#include "nn/pass.hpp"
#include "nn/sequence_models.hpp"

namespace grokscope {
namespace {

at::Tensor ids(std::vector<std::int64_t> values) { return at::tensor(values, at::kLong); }

TEST(TrainingNoise, KeepsTheMeanAndDropsTheShare) {
  const auto x = at::ones({200, 50, 10}, at::kDouble);
  const TrainingNoise noise(1, 7, at::arange(200, at::kLong));
  for (const double rate : {0.1, 0.5}) {
    const auto y = noise.dropout(x, rate, "a");
    const double sigma = std::sqrt(rate * (1 - rate) / 1e5);
    EXPECT_NEAR(y.eq(0).to(at::kDouble).mean().item<double>(), rate, 5 * sigma);
    EXPECT_NEAR(y.mean().item<double>(), 1, 5 * sigma / (1 - rate));
    EXPECT_TRUE(y.eq(0).logical_or((y - 1 / (1 - rate)).abs().lt(1e-15)).all().item<bool>());
  }
}

TEST(TrainingNoise, WithoutNoiseOrRateNothingHappens) {
  const auto x = normal_init({3, 4}, 1, 1, "x");
  EXPECT_TRUE(TrainingNoise::none().dropout(x, 0.5, "a").is_same(x));
  EXPECT_TRUE(TrainingNoise(1, 1, ids({0, 1, 2})).dropout(x, 0, "a").is_same(x));
  EXPECT_THROW(TrainingNoise(1, 1, ids({0, 1})).dropout(x, 0.5, "a"), InternalError);
}

TEST(TrainingNoise, AMaskDependsOnSeedPlaceStepAndExampleAlone) {
  const auto x = at::ones({3, 100}, at::kDouble);
  const auto mask = [&](std::uint64_t seed, std::int64_t step, std::vector<std::int64_t> examples, const char* place) {
    return TrainingNoise(seed, step, ids(std::move(examples))).dropout(x, 0.5, place);
  };
  const auto base = mask(1, 5, {10, 20, 30}, "a");
  EXPECT_TRUE(mask(1, 5, {30, 10, 20}, "a").equal(base.index_select(0, ids({2, 0, 1}))));
  EXPECT_FALSE(base[0].equal(base[1]));
  EXPECT_FALSE(base.equal(mask(2, 5, {10, 20, 30}, "a")));
  EXPECT_FALSE(base.equal(mask(1, 6, {10, 20, 30}, "a")));
  EXPECT_FALSE(base.equal(mask(1, 5, {10, 20, 30}, "b")));
}

TEST(TrainingNoise, EveryPlaceOfATransformerIsReached) {
  const auto x = residues(20, 9, "x", 3);
  const TrainingNoise noise(1, 3, at::arange(20, at::kLong));
  for (const auto& [model, name] : {std::pair{dropping_transformer(0.3, 0, 0), "embedding"},
                                    std::pair{dropping_transformer(0, 0.3, 0), "attention"},
                                    std::pair{dropping_transformer(0, 0, 0.3), "residual"}}) {
    EXPECT_TRUE(model->is_stochastic()) << name;
    auto tape = Tape::inactive();
    const auto quiet = model->forward(x, tape).detach(), noisy = model->forward_with_noise(x, noise).detach();
    EXPECT_GT((quiet - noisy).abs().max().item<double>(), 1e-2) << name;
    EXPECT_TRUE(noisy.equal(model->forward_with_noise(x, noise).detach())) << name;
  }
  EXPECT_FALSE(dropping_transformer(0, 0, 0)->is_stochastic());
}

TEST(TrainingNoise, APassUsesItForTrainingAndNeverForTaps) {
  const auto model = dropping_transformer(0.2, 0.2, 0.2);
  const auto loss = cross_entropy(at::kDouble);
  const auto x = residues(12, 9, "x", 3), y = residues(12, 9, "y", 1);
  const TrainingNoise noise(1, 3, at::arange(12, at::kLong));
  const auto quiet = backward_pass(*model, *loss, x, y, Taping::off);
  EXPECT_EQ(quiet.loss_sum, backward_pass(*model, *loss, x, y, Taping::on).loss_sum);
  EXPECT_NE(quiet.loss_sum, backward_pass(*model, *loss, x, y, Taping::off, noise).loss_sum);
  EXPECT_NEAR(quiet.loss_sum, evaluate(*model, *loss, x, y).loss_sum, 1e-12 * quiet.loss_sum);
  EXPECT_THROW(backward_pass(*model, *loss, x, y, Taping::on, noise), InternalError);
}

}  // namespace
}  // namespace grokscope
