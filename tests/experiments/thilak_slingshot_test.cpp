// Paper 07: the spike counter on hand-made series, the sources of data, and every observable against numbers that are
// computed here from the whole training set, on several rank counts.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/timer.hpp"
#include "comm/stop.hpp"
#include "experiments/07_thilak_slingshot/experiment.hpp"
#include "experiments/07_thilak_slingshot/sources.hpp"
#include "experiments/07_thilak_slingshot/spikes.hpp"
#include "train/trainer.hpp"

namespace grokscope {
namespace {

using slingshot::find_spikes;
using Rows = std::vector<std::size_t>;

/// A series that is `calm` but for some (step, loss).
std::vector<double> series(std::size_t n, double calm, const std::vector<std::pair<std::size_t, double>>& hits) {
  std::vector<double> loss(n, calm);
  for (const auto& [step, value] : hits) loss[step] = value;
  return loss;
}

std::vector<std::int64_t> every_step(std::size_t n) {
  std::vector<std::int64_t> step(n);
  std::iota(step.begin(), step.end(), 0);
  return step;
}

Rows spikes_of(const std::vector<double>& loss) { return find_spikes(every_step(loss.size()), loss).starts; }

TEST(Spikes, CountOnlyBehindTheFirstTinyLoss) {
  const auto loss = series(1000, 1e-8, {{0, 2.3}, {1, 1.0}, {2, 0.5}, {3, 2e-6}, {300, 3.0}});
  const auto spikes = find_spikes(every_step(1000), loss);
  EXPECT_EQ(spikes.first_low, 4u);
  EXPECT_EQ(spikes.starts, (Rows{300}));
  const auto never = series(1000, 2e-6, {{500, 3.0}});
  EXPECT_FALSE(find_spikes(every_step(1000), never).first_low);
  EXPECT_TRUE(spikes_of(never).empty());
}

TEST(Spikes, RingingCountsOnce) {
  EXPECT_EQ(spikes_of(series(1000, 1e-8, {{200, 3.0}, {202, 0.4}, {270, 0.2}})), (Rows{200}));
  EXPECT_EQ(spikes_of(series(1000, 1e-8, {{200, 3.0}, {299, 0.4}, {398, 0.2}})), (Rows{200}));  // since the last hit
  EXPECT_EQ(spikes_of(series(1000, 1e-8, {{200, 3.0}, {300, 0.4}, {778, 0.2}})), (Rows{200, 300, 778}));
}

TEST(Spikes, AreAboveTheThresholdNotOnIt) {
  EXPECT_TRUE(spikes_of(series(300, 1e-8, {{200, 0.1}})).empty());
  EXPECT_EQ(spikes_of(series(300, 1e-8, {{200, 0.1001}})), (Rows{200}));
  EXPECT_FALSE(find_spikes(every_step(3), series(3, 1e-6, {})).first_low);  // on the line is not below it
}

TEST(Spikes, RefractoryTimeIsInStepsNotRows) {
  const std::vector<std::int64_t> step{0, 50, 100, 150, 200, 250};
  EXPECT_EQ(find_spikes(step, std::vector<double>{1e-9, 1, 1e-9, 1, 1e-9, 1}).starts, (Rows{1, 3, 5}));
  EXPECT_EQ(find_spikes(step, std::vector<double>{1e-9, 1, 1, 1e-9, 1e-9, 1}).starts, (Rows{1, 5}));
}

TEST(Spikes, ShareOfTheRiseOfTheAccuracy) {
  const std::vector<std::int64_t> step{0, 10, 20, 30, 40, 50, 60, 70};
  const std::vector<double> accuracy{0.5, 0.1, 0.1, 0.3, 0.4, 0.4, 0.7, 0.6};
  const auto share = [&](Rows starts, std::int64_t window) {
    return slingshot::share_of_rise(step, accuracy, {1, std::move(starts)}, window);
  };
  EXPECT_NEAR(share({3}, 1), 0.2 / 0.5, 1e-15);  // the start alone, against the row before
  EXPECT_NEAR(share({3}, 11), 0.3 / 0.5, 1e-15);
  EXPECT_NEAR(share({3}, 10), 0.2 / 0.5, 1e-15) << "less than the window";
  EXPECT_NEAR(share({3, 6}, 1000), (0.3 + 0.2) / 0.5, 1e-15) << "up to the next spike, and the end";
  EXPECT_EQ(share({}, 1000), 0);
  EXPECT_TRUE(std::isnan(slingshot::share_of_rise(step, accuracy, {}, 1000))) << "the loss was never small";
  const std::vector<double> missing(8, std::nan(""));
  EXPECT_TRUE(std::isnan(slingshot::share_of_rise(step, missing, {1, {3}}, 1000)));
}

TEST(Spikes, LargestLoss) {
  const std::vector<std::int64_t> step{0, 10, 20, 30};
  const std::vector<double> loss{9, 1, 3, 2};
  EXPECT_EQ(slingshot::largest_loss(step, loss, 0, 0), 9);
  EXPECT_EQ(slingshot::largest_loss(step, loss, 1, 0), 3);
  EXPECT_EQ(slingshot::largest_loss(step, loss, 0, 21), 2);
  EXPECT_TRUE(std::isnan(slingshot::largest_loss(step, loss, 0, 31)));
}

TEST(Spikes, CourseOfAnObservable) {
  const std::vector<double> series{900, kMissing, 3, kMissing, 1, 7, 4};
  EXPECT_EQ(slingshot::course_of(series, 1).largest, 7);
  EXPECT_EQ(slingshot::course_of(series, 1).median, 3.5);
  EXPECT_EQ(slingshot::course_of(series, 4).median, 4);
  EXPECT_TRUE(std::isnan(slingshot::course_of(series, 7).largest));
  EXPECT_TRUE(std::isnan(slingshot::course_of(series, 7).median));
}

TEST(Sources, DivisionIsFourTokensOneHot) {
  slingshot::Source source;
  source.name = "division";
  source.p = 7;
  const auto splits = source.build(3);
  EXPECT_EQ(splits.train.size(), 21);
  EXPECT_EQ(splits.test.size(), 21);
  ASSERT_EQ(source.width(), 36);
  const auto tokens = splits.train.inputs.view({21, 4, 9}).argmax(2);
  EXPECT_TRUE(splits.train.inputs.view({21, 4, 9}).sum(2).eq(1).all().item<bool>());
  for (std::int64_t i = 0; i < 21; ++i) {
    const auto token = [&](std::int64_t t) { return tokens[i][t].item<std::int64_t>(); };
    EXPECT_EQ(token(1), 7);
    EXPECT_EQ(token(3), 8);
    EXPECT_EQ(splits.train.targets[i].item<std::int64_t>() * token(2) % 7, token(0));
  }
}

TEST(Sources, GaussianInputsDoNotDependOnTheirNumber) {
  slingshot::Source few, many;
  few.n_train = 5;
  many.n_train = 200, many.n_test = 100;
  const auto a = few.build(1).train, b = many.build(1).train;
  EXPECT_TRUE(a.inputs.equal(b.inputs.slice(0, 0, 5)));
  EXPECT_TRUE(a.targets.equal(b.targets.slice(0, 0, 5)));
  EXPECT_EQ(b.targets.min().item<std::int64_t>(), 0);
  EXPECT_EQ(b.targets.max().item<std::int64_t>(), 9);
  EXPECT_NEAR(b.inputs.square().mean().item<double>(), 1, 5 * std::sqrt(2.0 / 6400));
  EXPECT_FALSE(few.build(2).train.inputs.equal(a.inputs));
  few.seed = 1;
  EXPECT_TRUE(few.build(2).train.inputs.equal(a.inputs));
}

/// The task with some keys of `data` and `model` set.
std::unique_ptr<Task> task_with(const std::vector<std::pair<std::string, Node>>& values) {
  auto task = thilak_slingshot().make();
  Schemas schemas;
  task->declare(schemas);
  Reading reading;
  for (const auto& [path, value] : values) {
    const auto dot = path.rfind('.');
    schemas.find(path.substr(0, dot))->find(path.substr(dot + 1))->read(value, path, reading);
  }
  EXPECT_TRUE(reading.problems.empty());
  return task;
}

Node widths(std::size_t layers, const std::string& width) {
  auto list = Node::list();
  for (std::size_t l = 0; l < layers; ++l) list.items.push_back(Node::plain(width));
  return list;
}

std::int64_t parameters_of(const std::string& source, const std::string& width) {
  const auto task = task_with({{"data.source", Node::string(source)}, {"model.hidden", widths(5, width)}});
  task->build_model({});
  task->note_start();
  return task->model().parameters.total();
}

TEST(Task, HasTheParametersOfThePaper) {
  EXPECT_EQ(parameters_of("gaussian", "64"), 19402);
  EXPECT_EQ(parameters_of("cifar10", "512"), 2629130);
  EXPECT_EQ(parameters_of("division", "512"), 1303649);
}

std::vector<std::pair<std::string, Node>> small_transformer() {
  return {{"data.source", Node::string("division")}, {"data.p", Node::plain("7")}, {"model.kind", Node::string("transformer")},
          {"model.d_model", Node::plain("8")}, {"model.heads", Node::plain("2")}, {"model.d_mlp", Node::plain("12")}};
}

TEST(Task, HasTheTransformerOfADivision) {
  const auto task = task_with({{"data.source", Node::string("division")}, {"model.kind", Node::string("transformer")}});
  task->build_model({});
  task->note_start();
  EXPECT_EQ(task->model().parameters.total(), 2 * 99 * 128 + 2 * (4 * 128 * 128 + 2 * 128 * 512));
  task->build_data({});
  const auto& train = task->data().train;
  ASSERT_EQ(train.inputs.sizes(), at::IntArrayRef({4656, 4}));
  EXPECT_EQ(train.inputs.scalar_type(), at::kLong);
  const auto token = [&](std::int64_t t) { return train.inputs.select(1, t); };
  EXPECT_TRUE(token(1).eq(97).all().item<bool>() && token(3).eq(98).all().item<bool>());
  EXPECT_TRUE((train.targets * token(2) - token(0)).remainder(97).eq(0).all().item<bool>());
  EXPECT_TRUE(token(2).ge(1).all().item<bool>() && token(2).lt(97).all().item<bool>());
}

/// Features are solved for from the logits: there are more tokens than features.
TEST(Task, ObservesTheTransformersLastLayer) {
  auto comm = Communicator::duplicate(MPI_COMM_WORLD);
  const auto task = task_with(small_transformer());
  task->build_data({});
  task->build_model({});
  task->note_start();
  Record record;
  task->observe({}, Spread(comm), record);
  auto tape = Tape::inactive();
  const auto z = task->model().forward(task->data().train.inputs, tape).detach();
  ASSERT_EQ(z.sizes(), at::IntArrayRef({21, 9}));
  const auto weight = task->model().parameters.all().back().value.detach();
  const auto h = at::mm(z, at::linalg_pinv(weight.t())).mean(0), w = weight.mean(0);
  EXPECT_NEAR(record.value_of("observables/last_layer_norm"), weight.norm().item<double>(), 1e-12);
  EXPECT_NEAR(record.value_of("observables/class_mean_cosine"), (w.dot(h) / w.norm() / h.norm()).item<double>(), 1e-9);
  comm.free();
}

TEST(Task, RefusesATransformerOnImages) {
  const auto task = task_with({{"data.source", Node::string("mnist")}, {"model.kind", Node::string("transformer")}});
  Problems problems;
  task->check({}, problems);
  ASSERT_EQ(problems.all().size(), 1u);
  EXPECT_EQ(problems.all().front().key_path, "model.kind");
}

class ObservablesTest : public testing::Test {
 protected:
  ObservablesTest() {
    task = task_with({{"data.n_train", Node::plain("23")}, {"data.d_in", Node::plain("6")},
                      {"data.classes", Node::plain("4")}, {"model.hidden", widths(2, "9")}});
    training.dtype = "float64";
    training.optimizer = "adam";
    training.lr = 0.01;
    task->build_data(training);
    task->build_model(training);
    task->note_start();
    task->convert(at::kCPU, at::kDouble);
    initial = task->model().parameters.flat();
    trainer = std::make_unique<Trainer>(comm, *task, training, timers);
  }
  void TearDown() override { comm.free(); }

  void step() {
    trainer->backward(Taping::off, stop);
    trainer->update();
  }
  Record observed() const {
    Record record;
    task->observe(trainer->now(), Spread(comm), record);
    return record;
  }
  /// Mean cross-entropy over all training examples at other parameters.
  double loss_at(const at::Tensor& theta) const {
    auto& parameters = task->model().parameters;
    const auto present = parameters.flat();
    parameters.set_flat(theta);
    auto tape = Tape::inactive();
    const auto logits = task->model().forward(task->data().train.inputs, tape);
    const double loss = -at::log_softmax(logits, 1).gather(1, task->data().train.targets.unsqueeze(1)).mean().item<double>();
    parameters.set_flat(present);
    return loss;
  }
  /// What enters the last layer, from the parameters by name.
  at::Tensor features() const {
    auto h = task->data().train.inputs;
    const auto& p = task->model().parameters;
    for (std::size_t k = 0; k < 4; k += 2) h = at::relu(at::mm(h, p[k].value.detach().t()) + p[k + 1].value.detach());
    return h;
  }

  Communicator comm = Communicator::duplicate(MPI_COMM_WORLD);
  TimerTree timers;
  StopFlag stop;
  TrainingOptions training;
  std::unique_ptr<Task> task;
  at::Tensor initial;
  std::unique_ptr<Trainer> trainer;
};

TEST_F(ObservablesTest, TheLastLayerAndTheDistance) {
  for (int k = 0; k < 3; ++k) step();
  const auto record = observed();
  const auto weight = task->model().parameters[4].value.detach();
  ASSERT_EQ(weight.size(0), 4);
  EXPECT_NEAR(record.value_of("observables/last_layer_norm"), std::sqrt(weight.square().sum().item<double>()), 1e-13);
  const auto w = weight.sum(0) / 4, h = features().mean(0);
  EXPECT_NEAR(record.value_of("observables/class_mean_norm"), w.norm().item<double>(), 1e-14);
  EXPECT_NEAR(record.value_of("observables/class_mean_cosine"), (w.dot(h) / w.norm() / h.norm()).item<double>(), 1e-13);
  const auto theta = task->model().parameters.flat();
  const double distance = 1 - (theta.dot(initial) / theta.norm() / initial.norm()).item<double>();
  EXPECT_GT(distance, 1e-5);
  EXPECT_NEAR(record.value_of("observables/distance_from_init"), distance, 1e-13);
}

TEST_F(ObservablesTest, TheLastStep) {
  step();
  const auto before = task->model().parameters.flat(), features_before = features();
  step();
  const auto record = observed();
  const auto theta = task->model().parameters.flat(), u = theta - before;
  EXPECT_NEAR(record.value_of("observables/update_norm"), u.norm().item<double>(), 1e-14);
  const double change = (features() - features_before).norm().item<double>() / features_before.norm().item<double>();
  EXPECT_NEAR(record.value_of("observables/feature_change"), change, 1e-12);
  // Central differences of the loss along u / |u|. ReLU has kinks: the step is short enough to meet none.
  const auto direction = u / u.norm();
  const double h = 1e-4;
  const double second = (loss_at(theta + h * direction) - 2 * loss_at(theta) + loss_at(theta - h * direction)) / (h * h);
  const double curvature = record.value_of("observables/curvature_along_update");
  EXPECT_GT(std::abs(second), 1e-2);
  EXPECT_NEAR(curvature, second, 1e-5 * std::abs(second));
  EXPECT_TRUE(task->model().parameters.flat().equal(theta)) << "looking moved the parameters";
}

TEST_F(ObservablesTest, WithoutAStepThereIsNone) {
  EXPECT_TRUE(std::isnan(observed().value_of("observables/update_norm")));
  EXPECT_TRUE(std::isnan(observed().value_of("observables/curvature_along_update")));
  EXPECT_NEAR(observed().value_of("observables/distance_from_init"), 0, 1e-15);
}

TEST_F(ObservablesTest, SurviveACheckpoint) {
  step();
  step();
  const auto arrays = trainer->state();
  const auto whole = observed();
  auto other = task_with({{"data.n_train", Node::plain("23")}, {"data.d_in", Node::plain("6")},
                          {"data.classes", Node::plain("4")}, {"model.hidden", widths(2, "9")}});
  other->build_data(training);
  other->build_model(training);
  other->note_start();
  other->convert(at::kCPU, at::kDouble);
  Trainer resumed(comm, *other, training, timers);
  resumed.load(arrays);
  Record record;
  other->observe(resumed.now(), Spread(comm), record);
  ASSERT_EQ(record.measurements.size(), whole.measurements.size());
  for (const auto& m : whole.measurements) {
    EXPECT_EQ(record.value_of(m.quantity.path), m.values.front()) << m.quantity.path;
  }
}

TEST_F(ObservablesTest, ResultsAreReadFromTheSeries) {
  History history;
  const std::vector<double> norms{1, 2, 3, 2.5, 4};
  for (std::int64_t step = 0; step <= 1200; ++step) {
    history.step.push_back(step);
    history.evaluations.push_back({step < 100 ? 1.0 : 1e-8, kMissing, 1, step < 200 ? 0.0 : 0.5});
    history.observables["last_layer_norm"].push_back(0);
    const bool is_measured = step % 2 == 1;
    history.observables["curvature_along_update"].push_back(!is_measured ? kMissing : step < 100 ? 900 : step == 601 ? 50 : 0.5);
    history.observables["feature_change"].push_back(!is_measured ? kMissing : step < 100 ? 9 : step == 601 ? 0.25 : 0.125);
  }
  for (std::size_t k = 0; k < 5; ++k) {
    history.evaluations[200 + 200 * k].train_loss = static_cast<double>(5 - k);
    history.observables["last_layer_norm"][200 + 200 * k] = norms[k];
  }
  const auto results = task->results(training, history);
  const auto value = [&](const std::string& name) {
    const auto found = std::find_if(results.begin(), results.end(), [&](const Result& r) { return r.name == name; });
    return found == results.end() ? std::vector<double>{} : found->values;
  };
  EXPECT_EQ(value("first_below_1e-6"), (std::vector<double>{100}));
  EXPECT_EQ(value("spike_count"), (std::vector<double>{5}));
  EXPECT_EQ(value("spike_steps"), (std::vector<double>{200, 400, 600, 800, 1000}));
  EXPECT_EQ(value("spike_last_layer_norms"), norms);
  EXPECT_EQ(value("least_norm_rise"), (std::vector<double>{-0.5}));  // the third of the first three intervals
  EXPECT_EQ(value("largest_loss_after"), (std::vector<double>{5}));
  EXPECT_EQ(value("curvature_median_after"), (std::vector<double>{0.5}));
  EXPECT_EQ(value("curvature_largest_after"), (std::vector<double>{50}));
  EXPECT_EQ(value("feature_change_median_after"), (std::vector<double>{0.125}));
  EXPECT_EQ(value("feature_change_largest_after"), (std::vector<double>{0.25}));
  EXPECT_EQ(value("largest_loss_from_step_1000"), (std::vector<double>{1}));
  EXPECT_EQ(value("test_gain_at_spikes"), (std::vector<double>{1}));
}

}  // namespace
}  // namespace grokscope
