// The training loop on several ranks against one: the same gradient, the same minibatches, and a state that
// goes on bit by bit.
#include "train/trainer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "every_rank_test.hpp"
#include "gop/small_models.hpp"
#include "gradients/explicit_gradients.hpp"
#include "nn/sequence_models.hpp"

namespace grokscope {
namespace {

/// A task around ready-made data and a model that is made anew each time.
class GivenTask : public Task {
 public:
  GivenTask(std::unique_ptr<Model> model, std::unique_ptr<Loss> loss, DataSplits data) {
    model_ = std::move(model);
    loss_ = std::move(loss);
    data_ = std::move(data);
  }
  TaskInfo info() const override { return {}; }
  void declare(Schemas&) override {}
  void build_data(const TrainingOptions&) override {}
  void build_model(const TrainingOptions&) override {}
};

Dataset additions(std::int64_t n, const std::string& stream) {
  return {at::arange(n, at::kLong), residues(n, 5, stream, 2), residues(n, 5, stream + "y", 1)};
}

GivenTask transformer_task(std::int64_t n_train, std::int64_t n_test) {
  return GivenTask(std::make_unique<OneLayerTransformer>(OneLayerTransformerShape{5, 8, 2, 12}, 9),
                   cross_entropy(at::kDouble), {additions(n_train, "train"), additions(n_test, "test")});
}

/// A transformer with dropout everywhere.
GivenTask dropping_task(std::int64_t n_train, std::int64_t n_test) {
  const auto prompts = [](std::int64_t n, const std::string& stream) {
    return Dataset{at::arange(n, at::kLong) + 40, residues(n, 9, stream, 3), residues(n, 9, stream + "y", 1)};
  };
  return GivenTask(dropping_transformer(0.1, 0.2, 0.3), cross_entropy(at::kDouble), {prompts(n_train, "train"), prompts(n_test, "test")});
}

/// One weight an example: example i moves column i alone, so that weights tell which examples a batch had.
GivenTask counting_task(std::int64_t n) {
  const Dataset train{at::arange(n, at::kLong), at::eye(n, at::kDouble), at::full({n, 1}, 5.0, at::kDouble)};
  return GivenTask(std::make_unique<LinearModel>(at::zeros({1, n}, at::kDouble)), regression_mse(1e-3),
                   {train, train.rows({0, 0})});
}

TrainingOptions plain_sgd(std::int64_t batch) {
  TrainingOptions o;
  o.optimizer = "sgd";
  o.lr = 1;
  o.batch_size = {batch};
  o.epochs = 4;
  o.dtype = "float64";
  return o;
}

class TrainerTest : public EveryRankTest {
 protected:
  void SetUp() override { alone = std::make_unique<Communicator>(comm.split(comm.rank())); }
  void TearDown() override {
    alone->free();
    EveryRankTest::TearDown();
  }

  std::unique_ptr<Communicator> alone;  ///< this rank and no other
  TimerTree timers;
  StopFlag stop;
};

/// A loss that is finite at 0, where its gradient is not.
class RootLoss : public Loss {
 public:
  at::Tensor per_example(const at::Tensor& outputs, const at::Tensor&) const override { return outputs.abs().sqrt().sum(1); }
  at::Tensor correct(const at::Tensor& outputs, const at::Tensor&) const override { return outputs.select(1, 0) > 0; }
  std::string definition() const override { return "sum of sqrt |z|"; }
};

TEST_F(TrainerTest, OneEntryOfAGradientThatIsNoNumberIsSeenWhereverItStands) {
  constexpr std::int64_t kOutputs = 37;  // two runs of 16 and a rest
  for (const auto* dtype : {"float32", "float64"}) {
    for (const std::int64_t bad : {-1, 0, 15, 16, 31, 32, 36}) {
      auto weights = at::ones({kOutputs, 1}, at::kDouble);
      if (bad >= 0) weights[bad] = 0;
      const auto n = std::int64_t{4};
      const Dataset train{at::arange(n, at::kLong), at::ones({n, 1}, at::kDouble), at::zeros({n, 1}, at::kDouble)};
      GivenTask task(std::make_unique<LinearModel>(weights), std::make_unique<RootLoss>(), {train, train.rows({0, 0})});
      auto options = plain_sgd(4);
      options.dtype = dtype;
      task.convert(at::kCPU, parameter_type(options));
      Trainer trainer(comm, task, options, timers);
      const auto pass = trainer.backward(Taping::off, stop);
      EXPECT_TRUE(std::isfinite(pass.loss));
      EXPECT_EQ(pass.is_finite, bad < 0) << dtype << " " << bad;
    }
  }
}

/// The examples of each batch of a run of `counting_task(n)`. Collective over `comm`.
std::vector<std::set<std::int64_t>> batches(const Communicator& comm, std::int64_t n,
                                            const TrainingOptions& options) {
  auto task = counting_task(n);
  TimerTree timers;
  const StopFlag stop;
  Trainer trainer(comm, task, options, timers);
  std::vector<std::set<std::int64_t>> result;
  for (std::int64_t s = 0; s < trainer.total_steps(); ++s) {
    const auto before = task.model().parameters.flat();
    trainer.backward(Taping::off, stop);
    trainer.update();
    const auto moved = (task.model().parameters.flat() - before).ne(0).nonzero().reshape({-1});
    std::set<std::int64_t> batch;
    for (std::int64_t i = 0; i < moved.numel(); ++i) batch.insert(moved[i].item<std::int64_t>());
    result.push_back(std::move(batch));
  }
  return result;
}

TEST_F(TrainerTest, TheStepIsTheFullBatchAutogradGradient) {
  for (const std::int64_t n : {1, 2, 5, 24}) {  // also fewer examples than ranks
    auto task = transformer_task(n, 7);
    const auto& data = task.data().train;
    const auto g = explicit_gradients(task.model(), task.loss(), data.inputs, data.targets);
    for (const auto taping : {Taping::off, Taping::on}) {
      Trainer trainer(comm, task, plain_sgd(0), timers);
      const auto before = task.model().parameters.flat();
      const auto pass = trainer.backward(taping, stop);
      trainer.update();
      EXPECT_LT(relative_error(before - task.model().parameters.flat(), g.mean(0)), 1e-12) << n;
      task.model().parameters.set_flat(before);
      if (taping == Taping::off) continue;
      const double square = g.sum(0).square().sum().item<double>();
      EXPECT_NEAR(pass.gradient_square, square, 1e-12 * square) << n;
      EXPECT_EQ(pass.taps.n, even_share(n, comm.size(), comm.rank()).size());
    }
  }
}

TEST_F(TrainerTest, LossAndAccuracyAreMeansOverTheWholeSplits) {
  auto task = transformer_task(23, 11);
  Trainer trainer(comm, task, plain_sgd(0), timers);
  const auto pass = trainer.backward(Taping::off, stop);
  const auto e = trainer.evaluate(pass);
  const auto expect_split = [&](const Dataset& split, double loss, double accuracy) {
    auto tape = Tape::inactive();
    const auto logits = task.model().forward(split.inputs, tape);
    const auto losses = -at::log_softmax(logits, 1).gather(1, split.targets.unsqueeze(1));
    EXPECT_NEAR(loss, losses.mean().item<double>(), 1e-12 * loss);
    const auto right = logits.argmax(1).eq(split.targets).to(at::kDouble).mean();
    EXPECT_DOUBLE_EQ(accuracy, right.item<double>());
  };
  expect_split(task.data().train, e.train_loss, e.train_acc);
  expect_split(task.data().test, e.test_loss, e.test_acc);
  EXPECT_EQ(pass.loss, e.train_loss);
}

TEST_F(TrainerTest, WithMinibatchesTheWholeTrainingSetIsEvaluated) {
  auto task = transformer_task(23, 11);
  Trainer full(comm, task, plain_sgd(0), timers), mini(comm, task, plain_sgd(4), timers);
  const auto expected = full.evaluate(full.backward(Taping::off, stop));
  const auto pass = mini.backward(Taping::off, stop);
  const auto e = mini.evaluate(pass);
  EXPECT_NEAR(e.train_loss, expected.train_loss, 1e-12);
  EXPECT_EQ(e.train_acc, expected.train_acc);
  EXPECT_NE(pass.loss, e.train_loss);
}

TEST_F(TrainerTest, WithoutATestSplitItsScoresAreMissing) {
  auto task = counting_task(5);
  Trainer trainer(comm, task, plain_sgd(0), timers);
  const auto e = trainer.evaluate(trainer.backward(Taping::off, stop));
  EXPECT_TRUE(std::isnan(e.test_loss));
  EXPECT_TRUE(std::isnan(e.test_acc));
  EXPECT_DOUBLE_EQ(e.train_loss, 25);
}

TEST_F(TrainerTest, EveryEpochIsAPermutationOfTheExamples) {
  auto options = plain_sgd(4);
  options.lr = 0.01;
  const auto met = batches(comm, 11, options);
  ASSERT_EQ(met.size(), 12u);  // 4, 4, 3 in each of four epochs
  std::vector<std::vector<std::set<std::int64_t>>> epochs;
  for (std::size_t e = 0; e < 4; ++e) {
    std::set<std::int64_t> all;
    epochs.push_back({met.begin() + static_cast<std::ptrdiff_t>(3 * e),
                      met.begin() + static_cast<std::ptrdiff_t>(3 * e + 3)});
    for (const auto& batch : epochs.back()) all.insert(batch.begin(), batch.end());
    EXPECT_EQ(all.size(), 11u);
    EXPECT_EQ(epochs.back()[0].size(), 4u);
    EXPECT_EQ(epochs.back()[2].size(), 3u);
    if (e > 0) {
      EXPECT_NE(epochs[e], epochs[e - 1]) << "the same order twice";
    }
  }
}

TEST_F(TrainerTest, TheOrderIsTheSameForEveryRankCount) {
  for (const std::int64_t batch : {1, 2, 4, 10}) {  // 1 and 2: more ranks than examples in a batch
    auto options = plain_sgd(batch);
    options.lr = 0.01;
    EXPECT_EQ(batches(comm, 11, options), batches(*alone, 11, options)) << "batch size " << batch;
  }
  auto options = plain_sgd(4), other = plain_sgd(4);
  options.lr = other.lr = 0.01;
  other.seed = 1;
  EXPECT_NE(batches(*alone, 11, options), batches(*alone, 11, other));
}

TEST_F(TrainerTest, MinibatchTrainingAgreesWithOneRankToRounding) {
  for (const std::int64_t batch : {1, 2, 7}) {
    auto options = plain_sgd(batch);
    options.optimizer = "adamw";
    options.lr = 1e-3;
    auto here = transformer_task(17, 3), serial = transformer_task(17, 3);
    Trainer together(comm, here, options, timers), single(*alone, serial, options, timers);
    for (int s = 0; s < 20; ++s) {
      const auto a = together.backward(Taping::off, stop), b = single.backward(Taping::off, stop);
      EXPECT_NEAR(a.loss, b.loss, 1e-10 * b.loss) << "batch size " << batch << " step " << s;
      EXPECT_EQ(together.evaluate(a).train_acc, single.evaluate(b).train_acc);
      together.update();
      single.update();
    }
    EXPECT_LT(relative_error(here.model().parameters.flat(), serial.model().parameters.flat()), 1e-9);
  }
}

TEST_F(TrainerTest, MomentsCountEpochsAndSteps) {
  auto task = counting_task(11);
  Trainer trainer(comm, task, plain_sgd(4), timers);
  EXPECT_EQ(trainer.steps_per_epoch(), 3);
  EXPECT_EQ(trainer.total_steps(), 12);
  EXPECT_FALSE(trainer.is_full_batch());
  for (std::int64_t s = 0; s <= 12; ++s) {
    const auto now = trainer.now();
    EXPECT_EQ(now.step, s);
    EXPECT_EQ(now.epoch, s / 3);
    EXPECT_EQ(now.step_in_epoch, s % 3);
    EXPECT_EQ(now.final, s == 12);
    trainer.backward(Taping::off, stop);
    trainer.update();
  }
  auto options = plain_sgd(4);
  options.steps = 7;
  EXPECT_EQ(Trainer(comm, task, options, timers).total_steps(), 7);
  options.batch_size = {1000};
  EXPECT_TRUE(Trainer(comm, task, options, timers).is_full_batch());
}

TEST_F(TrainerTest, AConstrainedNormStaysWhatItWas) {
  // The step by hand: the one of plain descent, then all weights times one factor.
  for (const std::int64_t batch : {0, 5}) {
    auto options = plain_sgd(batch);
    auto free = transformer_task(17, 3), held = transformer_task(17, 3);
    Trainer plain(comm, free, options, timers);
    options.constrain_norm = "initial";
    Trainer constrained(comm, held, options, timers);
    const double norm = held.model().parameters.norm();
    for (int s = 0; s < 5; ++s) {
      free.model().parameters.set_flat(held.model().parameters.flat());
      plain.backward(Taping::off, stop);
      plain.update();
      constrained.backward(Taping::off, stop);
      constrained.update();
      const auto there = free.model().parameters.flat();
      EXPECT_GT(std::abs(free.model().parameters.norm() / norm - 1), 1e-4) << "nothing to constrain";
      EXPECT_LT(relative_error(held.model().parameters.flat(), there * (norm / free.model().parameters.norm())), 1e-14);
      EXPECT_NEAR(held.model().parameters.norm(), norm, 1e-13 * norm);
      EXPECT_NO_THROW(constrained.agreed_parameter_hash());
    }
  }
}

TEST_F(TrainerTest, SavedStateGoesOnBitForBit) {
  for (const std::int64_t batch : {0, 5, 4, -5}) {  // below 0: with a constrained norm
    auto options = plain_sgd(std::abs(batch));
    options.optimizer = "adamw";
    options.lr = 1e-2;
    options.weight_decay = 0.5;
    options.epochs = 100;
    if (batch < 0) options.constrain_norm = "initial";
    const bool drops = batch == 4;
    auto whole = drops ? dropping_task(17, 3) : transformer_task(17, 3);
    auto resumed = drops ? dropping_task(17, 3) : transformer_task(17, 3);
    Trainer first(comm, whole, options, timers);
    const auto advance = [&](Trainer& trainer, int steps) {
      for (int s = 0; s < steps; ++s) {
        trainer.backward(Taping::off, stop);
        trainer.update();
      }
    };
    advance(first, 6);  // in the middle of an epoch when there are minibatches
    const auto arrays = first.state();
    resumed.model().parameters.scale(2);  // whatever it starts from
    Trainer second(comm, resumed, options, timers);
    second.load(arrays);
    EXPECT_EQ(second.now().step, 6);
    advance(first, 9);
    advance(second, 9);
    EXPECT_TRUE(whole.model().parameters.flat().equal(resumed.model().parameters.flat()))
        << "batch size " << batch;
    EXPECT_EQ(first.agreed_parameter_hash(), second.agreed_parameter_hash());
  }
}

TEST_F(TrainerTest, StateHoldsEveryParameterUnderItsName) {
  auto task = transformer_task(9, 3);
  const auto arrays = Trainer(comm, task, plain_sgd(0), timers).state();
  for (const auto& p : task.model().parameters.all()) {
    EXPECT_TRUE(to_tensor(find_array(arrays, "parameters/" + p.name)).equal(p.value.detach())) << p.name;
  }
}

TEST_F(TrainerTest, LookingChangesNothing) {
  auto with = transformer_task(13, 3), without = transformer_task(13, 3);
  Trainer looked_at(comm, with, plain_sgd(0), timers), left_alone(comm, without, plain_sgd(0), timers);
  for (int s = 0; s < 5; ++s) {
    looked_at.evaluate(looked_at.backward(Taping::on, stop));
    left_alone.backward(Taping::off, stop);
    looked_at.update();
    left_alone.update();
  }
  EXPECT_TRUE(with.model().parameters.flat().equal(without.model().parameters.flat()));
}

TEST_F(TrainerTest, DropoutIsTheSameForEveryRankCount) {
  for (const std::int64_t batch : {0, 1, 7}) {
    auto here = dropping_task(17, 3), serial = dropping_task(17, 3);
    EXPECT_TRUE(here.is_stochastic());
    EXPECT_FALSE(transformer_task(5, 3).is_stochastic());
    auto options = plain_sgd(batch);
    options.lr = 0.05;
    Trainer together(comm, here, options, timers), single(*alone, serial, options, timers);
    double last = 0;
    for (int s = 0; s < 10; ++s) {
      const auto a = together.backward(Taping::off, stop), b = single.backward(Taping::off, stop);
      EXPECT_NEAR(a.loss, b.loss, 1e-10 * b.loss) << "batch size " << batch << " step " << s;
      EXPECT_NE(a.loss, last);
      last = a.loss;
      together.update();
      single.update();
    }
    EXPECT_LT(relative_error(here.model().parameters.flat(), serial.model().parameters.flat()), 1e-9);
  }
}

TEST_F(TrainerTest, DropoutIsOffWhenEvaluatingAndTracking) {
  auto task = dropping_task(17, 5), other = dropping_task(17, 5);
  Trainer trainer(comm, task, plain_sgd(0), timers), left_alone(comm, other, plain_sgd(0), timers);
  const auto& train = task.data().train;
  const auto quiet = evaluate(task.model(), task.loss(), train.inputs, train.targets);
  for (int s = 0; s < 3; ++s) {
    const auto pass = trainer.backward(Taping::off, stop);
    const auto e = trainer.evaluate(pass);
    if (s == 0) {
      EXPECT_NEAR(e.train_loss, quiet.loss_sum / 17, 1e-12 * e.train_loss);
    }
    EXPECT_NE(pass.loss, e.train_loss);
    backward_pass(task.model(), task.loss(), train.inputs, train.targets, Taping::on);
    left_alone.backward(Taping::off, stop);
    trainer.update();
    left_alone.update();
  }
  EXPECT_THROW(trainer.backward(Taping::on, stop), InternalError);
  EXPECT_TRUE(task.model().parameters.flat().equal(other.model().parameters.flat()));
}

TEST_F(TrainerTest, RanksThatHoldDifferentParametersAreFound) {
  auto task = transformer_task(9, 3);
  Trainer trainer(comm, task, plain_sgd(0), timers);
  EXPECT_NO_THROW(trainer.agreed_parameter_hash());
  if (comm.size() == 1) return;
  if (comm.rank() == 1) task.model().parameters.scale(1 + 1e-15);
  EXPECT_THROW(trainer.agreed_parameter_hash(), InternalError);
}

TEST_F(TrainerTest, AWishToStopOnOneRankReachesAll) {
  auto task = transformer_task(9, 3);
  Trainer trainer(comm, task, plain_sgd(0), timers);
  EXPECT_FALSE(trainer.backward(Taping::off, stop).stop);
  const StopFlag mine(comm.rank() + 1 == comm.size() ? std::optional<double>(0.0) : std::nullopt);
  EXPECT_TRUE(trainer.backward(Taping::off, mine).stop);
  EXPECT_NE(mine.shared_reason(comm).find("--max-time"), std::string::npos) << mine.shared_reason(comm);
}

}  // namespace
}  // namespace grokscope
