// Attacks on linear models, where the best attack is known in closed form, and on one that an attack overshoots.
#include "experiments/06_humayun_deep/attack.hpp"

#include <gtest/gtest.h>

#include "experiments/06_humayun_deep/robustness.hpp"
#include "gop/small_models.hpp"

namespace grokscope::humayun {
namespace {

constexpr std::int64_t kPixels = 9;

/// Two classes, logits W x with W of mixed signs: the margin of class 1 over class 0 is w . x, w = W_1 - W_0.
LinearModel two_classes() { return LinearModel(normal_init({2, kPixels}, 1, 4, "W")); }

Images images(std::int64_t n) {
  return {uniform_init({n, kPixels}, 0.5, 8, "images") + 0.5, residues(n, 2, "classes", 1)};
}

/// The end of the best attack: every pixel goes as far as ball and range let it, up or down with the sign of its weight.
at::Tensor best_attack(const LinearModel& model, const Images& x, double radius) {
  const auto w = (model.parameters[0].value[1] - model.parameters[0].value[0]).detach();
  const auto up = at::where(x.targets == 0, at::ones_like(x.targets), -at::ones_like(x.targets)).unsqueeze(1);
  return at::clamp(x.inputs + radius * up * w.sign(), 0, 1);
}

at::Tensor wrong_in_closed_form(const LinearModel& model, const Images& x, double radius) {
  const auto w = (model.parameters[0].value[1] - model.parameters[0].value[0]).detach();
  return (best_attack(model, x, radius).mv(w) > 0) != (x.targets == 1);
}

TEST(Attack, OnALinearModelReachesTheCorner) {
  const auto model = two_classes();
  const auto x = images(40);
  const auto starts = random_starts(at::arange(40, at::kLong), kPixels, 3);
  std::int64_t changed = 0;
  for (const double radius : {0.03, 0.1, 0.3}) {
    for (const auto& loss : {AttackLoss(cross_entropy_attack), AttackLoss(margin_attack)}) {
      const auto found = attack(model, x, x.inputs + radius * starts, radius, {loss, 50, 4.0 / 255});
      EXPECT_LT((found.inputs - best_attack(model, x, radius)).abs().max().item<double>(), 1e-15) << radius;
      EXPECT_TRUE(found.fooled.equal(wrong_in_closed_form(model, x, radius))) << radius;
      changed += (found.fooled != wrong(model, x.inputs, x.targets)).sum().item<std::int64_t>();
    }
  }
  EXPECT_GT(changed, 20) << "nothing was fooled";
}

TEST(Attack, StaysInTheBallAndInRange) {
  const auto m = Mlp(MlpShape{{kPixels, 7, 3}, "relu", true}, 3, 2);
  const Images x{images(30).inputs, residues(30, 3, "classes", 1)};
  const auto far = x.inputs + 10 * random_starts(at::arange(30, at::kLong), kPixels, 3);
  for (const std::int64_t steps : {0, 1, 7}) {
    const auto found = attack(m, x, far, 0.07, {cross_entropy_attack, steps, 0.03});
    EXPECT_LE((found.inputs - x.inputs).abs().max().item<double>(), 0.07 + 1e-15);
    EXPECT_GE(found.inputs.min().item<double>(), 0);
    EXPECT_LE(found.inputs.max().item<double>(), 1);
    EXPECT_TRUE(found.fooled.equal(wrong(m, found.inputs, x.targets)));
  }
}

TEST(Attack, MovesShrinkLinearly) {
  const LinearModel model(at::tensor({0.0, 1.0}, at::kDouble).view({2, 1}));  // more x, more class 1
  const Images x{at::full({1, 1}, 0.5, at::kDouble), at::zeros({1}, at::kLong)};
  const auto end = [&](bool shrinks) {
    return attack(model, x, x.inputs, 0.45, {margin_attack, 4, 0.1, shrinks}).inputs.item<double>();
  };
  EXPECT_NEAR(end(false), 0.9, 1e-15);
  EXPECT_NEAR(end(true), 0.5 + 0.1 * (1 + 0.75 + 0.5 + 0.25), 1e-15);
}

/// Class 1 wins within .05 of the middle: z_1 - z_0 = .05 - |x - .5|.
class Ridge : public Model {
 public:
  at::Tensor forward(const at::Tensor& inputs, Tape&) const override {
    return at::cat({at::zeros_like(inputs), 0.05 - (inputs - 0.5).abs()}, 1);
  }
};

TEST(Attack, RemembersWhatItPassedOver) {
  const Images x{at::full({1, 1}, 0.32, at::kDouble), at::zeros({1}, at::kLong)};
  const auto over = attack(Ridge(), x, x.inputs, 0.4, {cross_entropy_attack, 2, 0.2});  // .32, .52, .32
  EXPECT_FALSE(over.fooled.item<bool>());
  EXPECT_TRUE(over.fooled_ever.item<bool>());
  const auto on_it = attack(Ridge(), x, x.inputs, 0.4, {cross_entropy_attack, 1, 0.2});
  EXPECT_TRUE(on_it.fooled.item<bool>());
  EXPECT_TRUE(on_it.fooled_ever.item<bool>());
}

TEST(AttackLoss, EqualsItsFormula) {
  const auto z = at::tensor({1.0, 3.0, 2.0, 1.0, 3.0, 2.0}, at::kDouble).view({2, 3});
  const auto y = at::tensor(std::vector<std::int64_t>{1, 0}, at::kLong);
  const auto margin = margin_attack(z, y);
  EXPECT_DOUBLE_EQ(margin[0].item<double>(), -1);
  EXPECT_DOUBLE_EQ(margin[1].item<double>(), 2);
  const double log_sum = std::log(std::exp(1.0) + std::exp(2.0) + std::exp(3.0));
  const auto cross_entropy = cross_entropy_attack(z, y);
  EXPECT_NEAR(cross_entropy[0].item<double>(), log_sum - 3, 1e-15);
  EXPECT_NEAR(cross_entropy[1].item<double>(), log_sum - 1, 1e-15);
}

TEST(RandomStarts, DependOnTheIdAlone) {
  const auto ids = at::tensor(std::vector<std::int64_t>{4, 9, 70000}, at::kLong);
  const auto all = random_starts(ids, 200, 5);
  EXPECT_TRUE(all.slice(0, 1, 2).equal(random_starts(ids.slice(0, 1, 2), 200, 5)));
  EXPECT_FALSE(all[0].equal(all[1]));
  EXPECT_FALSE(all.equal(random_starts(ids, 200, 6)));
  EXPECT_LE(all.abs().max().item<double>(), 1);
  EXPECT_LT(all.min().item<double>(), -0.9);
  EXPECT_GT(all.max().item<double>(), 0.9);
}

TEST(EvenlySpread, CoversTheSplit) {
  EXPECT_TRUE(evenly_spread(10, 4).equal(at::tensor(std::vector<std::int64_t>{0, 2, 5, 7}, at::kLong)));
  EXPECT_TRUE(evenly_spread(3, 10).equal(at::arange(3, at::kLong)));
}

class RobustnessTest : public testing::Test {
 protected:
  void SetUp() override { alone = std::make_unique<Communicator>(comm.split(comm.rank())); }
  void TearDown() override {
    alone->free();
    comm.free();
  }
  static RobustnessOptions few_steps() {
    RobustnessOptions o;
    o.radii = {0.02, 0.1, 0.25};
    o.strong_radii = {0.02, 0.1};
    o.strong_images = 70;
    o.pgd_steps = 40;
    o.long_pgd_steps = 20;
    o.margin_steps = 20;
    return o;
  }

  Communicator comm = Communicator::duplicate(MPI_COMM_WORLD);
  std::unique_ptr<Communicator> alone;  ///< this rank and no other
};

TEST_F(RobustnessTest, OfALinearModelIsKnownInClosedForm) {
  const auto model = two_classes();
  const auto x = images(120);  // two portions of 50 and one of 20
  const auto starts = random_starts(at::arange(120, at::kLong), kPixels, 3);
  const auto o = few_steps();
  const auto found = measure_robustness(model, &model, x, starts, o, Spread(comm));
  const auto right = [](const at::Tensor& flags) { return 1 - flags.to(at::kDouble).mean().item<double>(); };
  EXPECT_NEAR(found.clean, right(wrong(model, x.inputs, x.targets)), 1e-15);
  for (std::size_t r = 0; r < o.radii.size(); ++r) {
    EXPECT_NEAR(found.pgd[r], right(wrong_in_closed_form(model, x, o.radii[r])), 1e-15) << r;
  }
  EXPECT_GT(found.pgd[0], found.pgd[2]);
  const auto some = evenly_spread(120, 70);
  const Images strong{x.inputs.index_select(0, some), x.targets.index_select(0, some)};
  for (std::size_t r = 0; r < 2; ++r) {
    // Every attack ends in the same corner, the early model being the present one.
    const double expected = right(wrong_in_closed_form(model, strong, o.strong_radii[r]));
    EXPECT_NEAR(found.worst_case[r], expected, 1e-15) << r;
    EXPECT_NEAR(found.transfer[r], expected, 1e-15) << r;
  }
  // d cross-entropy / dx = (1 - p_y) (W_other - W_y).
  const auto w = (model.parameters[0].value[1] - model.parameters[0].value[0]).detach();
  const auto margin = x.inputs.mv(w) * at::where(x.targets == 1, 1.0, -1.0);
  const auto sorted = std::get<0>((at::sigmoid(-margin) * w.abs().sum()).sort());
  EXPECT_NEAR(found.input_gradient_l1, (sorted[59] + sorted[60]).item<double>() / 2, 1e-13);
}

TEST_F(RobustnessTest, IsTheSameForEveryNumberOfProcesses) {
  const MlpShape shape{{kPixels, 20, 20, 4}, "relu", true};
  const Mlp model(shape, 2, 6), early(shape, 2, 7);
  const Images x{images(130).inputs, residues(130, 4, "classes", 1)};
  const auto starts = random_starts(at::arange(130, at::kLong), kPixels, 3);
  const auto a = measure_robustness(model, &early, x, starts, few_steps(), Spread(comm));
  const auto b = measure_robustness(model, &early, x, starts, few_steps(), Spread(*alone));
  EXPECT_EQ(a.clean, b.clean);
  EXPECT_EQ(a.pgd, b.pgd);
  EXPECT_EQ(a.worst_case, b.worst_case);
  EXPECT_EQ(a.transfer, b.transfer);
  EXPECT_EQ(a.input_gradient_l1, b.input_gradient_l1);
  EXPECT_NE(a.worst_case, a.transfer) << "images of another model fooled as well as this one's own";
}

TEST_F(RobustnessTest, TheWorstCaseNeverGrowsWithTheRadius) {
  const Mlp model(MlpShape{{kPixels, 20, 4}, "relu", true}, 2, 6);
  const Images x{images(60).inputs, residues(60, 4, "classes", 1)};
  auto o = few_steps();
  o.strong_radii = {0.01, 0.05, 0.1, 0.2, 0.5};
  const auto starts = random_starts(at::arange(60, at::kLong), kPixels, 3);
  const auto found = measure_robustness(model, nullptr, x, starts, o, Spread(comm));
  EXPECT_TRUE(std::is_sorted(found.worst_case.rbegin(), found.worst_case.rend()));
  EXPECT_TRUE(found.transfer.empty());
  EXPECT_LT(found.worst_case.back(), found.worst_case.front());
}

/// PGD steps over the ridge and ends on its far side; the worst case counts what it passed, and the margin attack too.
TEST_F(RobustnessTest, TheWorstCaseCountsWhatPgdMisses) {
  const Images x{at::full({3, 1}, 0.32, at::kDouble), at::zeros({3}, at::kLong)};
  RobustnessOptions o;
  o.radii = o.strong_radii = {0.4};
  o.pgd_steps = 2;
  o.pgd_step = 0.2;
  const auto found = measure_robustness(Ridge(), nullptr, x, at::zeros({3, 1}, at::kDouble), o, Spread(comm));
  EXPECT_EQ(found.clean, 1);
  EXPECT_EQ(found.pgd[0], 1);
  EXPECT_EQ(found.worst_case[0], 0);
}

}  // namespace
}  // namespace grokscope::humayun
