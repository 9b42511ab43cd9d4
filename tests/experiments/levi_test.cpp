// The closed forms of paper 09 against each other, against gradient descent written out as matrix recursions,
// and against numbers worked out by hand.
#include "experiments/09_levi_linear/theory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "experiments/09_levi_linear/experiment.hpp"
#include "experiments/task_with.hpp"
#include "train/optimizer.hpp"

namespace grokscope::levi {
namespace {

std::vector<double> to_vector(const at::Tensor& t) {
  const auto host = t.contiguous();
  return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
}

TEST(Limit, TimesOfThePapersSetting) {
  // Recomputed independently by two programs: measured.
  const double expected[][3] = {{.1, 273, 296}, {.5, 725, 1156}, {.8, 1781, 6654}, {.9, 2408, 22890}};
  for (const auto& [lambda, train, test] : expected) {
    const auto times = crossing_times(Limit{lambda}, 1e-3 / 4, 100000);
    EXPECT_NEAR(times.train, train, 1) << lambda;
    EXPECT_NEAR(times.test, test, 1) << lambda;
  }
}

TEST(Limit, IsTheClosedFormOfEquation9) {
  const double lambda = .7, lr = .01;
  for (const double t : {1.0, 20.0, 300.0}) {
    // 0F1~(2; z) = I_1(2 sqrt z) / sqrt z with sqrt z = 4 lr t sqrt(lambda).
    const double root = 4 * lr * t * std::sqrt(lambda);
    const double closed = std::exp(-4 * lr * (1 + lambda) * t) * std::cyl_bessel_i(1, 2 * root) / root;
    EXPECT_NEAR(Limit{lambda}.at(t).train, closed, 1e-10 * closed) << t;
  }
}

TEST(Limit, EndsInTheAsymptoticLaw) {  // Eq. 11
  const double lambda = .5, lr = .01, t = 2e4, edge = std::pow(1 - std::sqrt(lambda), 2);
  const double late = std::exp(-4 * lr * edge * t) /
                      (16 * std::sqrt(std::numbers::pi) * std::pow(lambda, .75) * std::pow(lr * t, 1.5));
  const auto losses = Limit{lambda}.at(t);
  EXPECT_NEAR(losses.train / late, 1, .02);
  EXPECT_NEAR(losses.test / (late / edge), 1, .08);  // the correction is of order 1 / (lr t edge)
  EXPECT_NEAR(leading_order_delay(.9, .01), 56386, 20);
}

TEST(Limit, ScalesWithOutputsAndInitialisation) {
  const auto one = Limit{.9}.at(700);
  Limit more{.9, .05};
  more.d_out = 5;
  EXPECT_NEAR(more.at(700).train, one.train / 5, 1e-14);
  EXPECT_NEAR(more.at(700).test, one.test / 5, 1e-14);
  Limit enlarged{.9};
  enlarged.init_scale = 3;
  EXPECT_NEAR(enlarged.at(700).test, one.test * (1 + 9) / 2, 1e-14);
  EXPECT_NEAR((Limit{1.5}.at(1e7).test), 1 - 1 / 1.5, 1e-9);  // directions that were never seen
  EXPECT_TRUE(std::isnan(crossing_times(Limit{1.5}, 2.5e-4, 1000000).test));
}

TEST(Limit, DelayIsLargestNearFiftyOutputs) {  // Fig. 2
  double best = 0, largest = 0;
  for (const double d : {1., 3., 10., 20., 30., 40., 50., 60., 80., 120., 300., 700.}) {
    Limit limit{.9};
    limit.d_out = d;
    const auto times = crossing_times(limit, threshold_loss(1e-3, d), 100000000);
    if (times.test - times.train > largest) largest = times.test - times.train, best = d;
  }
  EXPECT_GE(best, 20);
  EXPECT_LE(best, 120);
}

TEST(Limit, DecayFloors) {
  // gamma^2 / 8 times 1 / (1 - lambda) and its cube, for small gamma.
  const double lambda = .5, gamma = 1e-4;
  const auto end = Limit{lambda, .01, gamma}.at(1e7);
  EXPECT_NEAR(end.train / (gamma * gamma / (8 * (1 - lambda))), 1, 5e-3);
  EXPECT_NEAR(end.test / (gamma * gamma / (8 * std::pow(1 - lambda, 3))), 1, 5e-3);
}

TEST(Limit, IsTheMeanOverManyDraws) {
  // One large draw of everything, in continuous time: small lr, the decay large enough to matter. The
  // spectrum of one X still differs from its limit by about 7 / d in the mean of 1/nu^2, the term that the
  // floors have.
  const std::int64_t d = 800, n = 1600, draws = 100;
  const auto x = normal_init({n, d}, 1, 3, "x");
  const auto [nu, v] = at::linalg_eigh(x.t().mm(x) / static_cast<double>(n), "U");
  const double std = 1 / std::sqrt(2.0 * static_cast<double>(d) * static_cast<double>(draws));
  const auto student = 2 * normal_init({d, draws}, std, 4, "s"),
             teacher = normal_init({d, draws}, std, 5, "t");
  const auto error = v.t().mm(student - teacher), target = v.t().mm(teacher);
  const Dynamics own{to_vector(nu),
                     to_vector(error.square().sum(1)),
                     to_vector((error * target).sum(1)),
                     to_vector(target.square().sum(1)),
                     .001,
                     .3,
                     1};
  const Limit limit{.5, .001, .3, 1, 2};
  for (const double t : {0., 300., 1000., 5000.}) {
    EXPECT_NEAR(own.at(t).train / limit.at(t).train, 1, .02) << t;
    EXPECT_NEAR(own.at(t).test / limit.at(t).test, 1, .02) << t;
  }
}

TEST(Accuracy, IsTheErrorFunctionForOneOutput) {
  for (const double loss : {1e-4, 2.5e-4, 1e-2}) {
    EXPECT_NEAR(accuracy_at_loss(loss, 1e-3, 1), std::erf(std::sqrt(1e-3 / (2 * loss))), 1e-13);
  }
  EXPECT_NEAR(accuracy_at_loss(1e-3, 2e-3, 2), 1 - std::exp(-2.0), 1e-13);  // chi^2 of two: exponential
  EXPECT_DOUBLE_EQ(threshold_loss(1e-3, 1), 2.5e-4);
  for (const double d : {2., 5., 50.}) {
    EXPECT_NEAR(accuracy_at_loss(threshold_loss(1e-3, d), 1e-3, d), std::erf(std::numbers::sqrt2), 1e-12);
  }
}

TEST(MarchenkoPastur, MomentsByHandAndOfTheDensity) {
  for (const double lambda : {.3, .9, 1.5}) {
    EXPECT_DOUBLE_EQ(marchenko_pastur_moment(lambda, 1), 1);
    EXPECT_DOUBLE_EQ(marchenko_pastur_moment(lambda, 2), 1 + lambda);
    EXPECT_DOUBLE_EQ(marchenko_pastur_moment(lambda, 3), 1 + 3 * lambda + lambda * lambda);
    EXPECT_NEAR(marchenko_pastur_moment(lambda, 4),
                1 + 6 * lambda + 6 * lambda * lambda + std::pow(lambda, 3), 1e-14);
    const double low = std::pow(1 - std::sqrt(lambda), 2), high = std::pow(1 + std::sqrt(lambda), 2);
    const int cells = 400000;
    double mass = 0, third = 0;
    for (int i = 0; i < cells; ++i) {
      const double nu = low + (high - low) * (i + .5) / cells;
      const double part = marchenko_pastur_density(lambda, nu) * (high - low) / cells;
      mass += part, third += part * nu * nu * nu;
    }
    EXPECT_NEAR(mass, std::min(1.0, 1 / lambda), 1e-5) << lambda;
    EXPECT_NEAR(third, marchenko_pastur_moment(lambda, 3), 1e-5) << lambda;
  }
}

TEST(MarchenkoPastur, IsTheSpectrumOfALargeDraw) {
  const std::int64_t d = 400, n = 500;
  const auto x = normal_init({n, d}, 1, 3, "x");
  const auto nu = to_vector(at::linalg_eigvalsh(x.t().mm(x) / static_cast<double>(n), "U"));
  EXPECT_LT(distance_to_marchenko_pastur(nu, .8), .02);
  EXPECT_GT(distance_to_marchenko_pastur(nu, 1 / .8), .1) << "the ratio upside down must not pass";
  const auto density = empirical_density(nu, 0, 4, 8);
  for (std::size_t i = 1; i < 7; ++i)
    EXPECT_NEAR(density[i], marchenko_pastur_density(.8, .25 + .5 * static_cast<double>(i)), .05) << i;
  double mass = 0;
  for (const double cell : density) mass += cell / 2;
  EXPECT_DOUBLE_EQ(mass, 1);
}

/// Full-batch gradient descent of the task as the optimizer does it.
void descend(Task& task, const TrainingOptions& training, int steps) {
  Optimizer rule(task.model().parameters, training);
  const auto& train = task.data().train;
  for (int s = 0; s < steps; ++s) {
    auto pass = backward_pass(task.model(), task.loss(), train.inputs, train.targets, Taping::off);
    for (auto& g : pass.gradients) g = g / static_cast<double>(train.size());
    rule.update(pass.gradients, s);
  }
}

TrainingOptions plain_descent(double lr, double decay) {
  TrainingOptions training;
  training.optimizer = "sgd";
  training.dtype = "float64";
  training.lr = lr;
  training.weight_decay = decay;
  return training;
}

double loss_of(const Task& task, const Dataset& split) {
  return evaluate(task.model(), task.loss(), split.inputs, split.targets).loss_sum /
         static_cast<double>(split.size());
}

TEST(OneMatrix, DescendsAsItsClosedForm) {
  for (const double decay : {0.0, 0.05}) {
    for (const char* outputs : {"1", "4"}) {
      const auto training = plain_descent(.03, decay);
      const auto task = task_with(
          levi_linear(),
          {{"data.d_in", "12"}, {"data.n_train", "17"}, {"data.d_out", outputs}, {"model.init_scale", "1.5"}},
          training);
      const auto& x = task->data().train.inputs;
      const auto teacher = to_tensor(find_array(task->extra_data(), "teacher"));
      const auto [nu, v] = at::linalg_eigh(x.t().mm(x) / 17, "U");
      const auto student = task->model().parameters[0].value.detach().t();
      const auto error = v.t().mm(student - teacher), target = v.t().mm(teacher);
      const Dynamics own{to_vector(nu),
                         to_vector(error.square().sum(1)),
                         to_vector((error * target).sum(1)),
                         to_vector(target.square().sum(1)),
                         .03,
                         decay,
                         std::stod(outputs)};
      descend(*task, training, 150);
      const auto expected = own.at(150);
      EXPECT_NEAR(loss_of(*task, task->data().train) / expected.train, 1, 1e-10) << outputs << " " << decay;
      EXPECT_NEAR(task->exact_test_score()->first / expected.test, 1, 1e-10) << outputs << " " << decay;
    }
  }
}

TEST(TwoMatrices, DescendAsTheirRecursionThroughSigma) {
  // S0 <- S0 - (2 lr / d_out) Sigma D S1^T and S1 <- S1 - (2 lr / d_out) S0^T Sigma D with D = S0 S1 - T0 T1.
  const auto training = plain_descent(.5, 0);
  const auto task = task_with(levi_linear(),
                              {{"data.d_in", "12"},
                               {"data.n_train", "17"},
                               {"data.n_test", "4000"},
                               {"data.d_out", "3"},
                               {"model.hidden", "5"},
                               {"model.init_scale", "2"}},
                              training);
  const auto& x = task->data().train.inputs;
  const auto sigma = x.t().mm(x) / 17;
  const auto teacher = task->extra_data();
  const auto product =
      to_tensor(find_array(teacher, "teacher_0")).mm(to_tensor(find_array(teacher, "teacher_1")));
  auto s0 = task->model().parameters[0].value.detach().t().clone(),
       s1 = task->model().parameters[1].value.detach().t().clone();
  for (int step = 0; step < 200; ++step) {
    const auto pull = sigma.mm(s0.mm(s1) - product) * (2 * .5 / 3);
    const auto next = s0 - pull.mm(s1.t());
    s1 = s1 - s0.t().mm(pull);
    s0 = next;
  }
  const double before = loss_of(*task, task->data().train);
  descend(*task, training, 200);
  const auto d = s0.mm(s1) - product;
  const double train = (d.t().mm(sigma).mm(d)).trace().item<double>() / 3;
  EXPECT_LT(train, .9 * before) << "nothing was learned";
  EXPECT_NEAR(loss_of(*task, task->data().train) / train, 1, 1e-10);
  EXPECT_NEAR(loss_of(*task, task->data().test) / (d.square().sum().item<double>() / 3), 1, .1);
}

TEST(TwoMatrices, StartWithTheVarianceOfTheirWidths) {
  const auto task = task_with(levi_linear(), {{"data.d_in", "400"},
                                              {"data.n_train", "300"},
                                              {"data.n_test", "10"},
                                              {"data.d_out", "5"},
                                              {"model.hidden", "50"},
                                              {"model.activation", "tanh"}});
  const auto& s0 = task->model().parameters[0].value;
  const auto& s1 = task->model().parameters[1].value;
  EXPECT_NEAR(s0.square().mean().item<double>() * 2 * 400 * 50, 1, .05);
  EXPECT_NEAR(s1.square().mean().item<double>() * 2 * 50 * 5, 1, .3);
  const auto teacher = task->extra_data();
  const auto& train = task->data().train;
  const auto answers = at::tanh(train.inputs.mm(to_tensor(find_array(teacher, "teacher_0"))))
                           .mm(to_tensor(find_array(teacher, "teacher_1")));
  EXPECT_LT((answers - train.targets).abs().max().item<double>(), 1e-15);
  EXPECT_GT((to_tensor(find_array(teacher, "teacher_0")) - s0.detach().t()).abs().min().item<double>(), 0);
}

}  // namespace
}  // namespace grokscope::levi
