// Restricted and excluded loss of logits that are known in closed form, and of random ones against the
// projections written out over all p^2 pairs as the paper's code has them.
#include "experiments/03_nanda_progress/progress.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "data/modular_arithmetic.hpp"
#include "experiments/03_nanda_progress/experiment.hpp"
#include "experiments/03_nanda_progress/fourier.hpp"
#include "experiments/task_with.hpp"

namespace grokscope::nanda {
namespace {

constexpr std::int64_t kP = 11;
const std::vector<std::int64_t> kKeys{2, 5};

class ProgressTest : public testing::Test {
 protected:
  void TearDown() override { comm.free(); }

  /// The whole table with these logits; every third pair trains.
  static PairLogits whole(const at::Tensor& logits) {
    return {logits, modular_table(kP, "add").targets, at::arange(kP * kP) % 3 == 0};
  }
  Progress measure(const at::Tensor& logits, const std::vector<std::int64_t>& keys) const {
    const auto all = whole(logits);
    const auto mine = Spread(comm).share(kP * kP);
    const auto part = [&](const at::Tensor& t) { return t.slice(0, mine.begin, mine.end); };
    return measure_progress({part(all.logits), part(all.sums), part(all.is_train)}, keys, Spread(comm));
  }

  Communicator comm = Communicator::duplicate(MPI_COMM_WORLD);
};

/// alpha cos(w_k (a + sign b - c)), [p^2, p].
at::Tensor circuit(double alpha, double k, double sign) {
  const auto x = modular_table(kP, "add").inputs.to(at::kDouble);
  const auto total = x.select(1, 0) + sign * x.select(1, 1);
  const auto angle =
      2 * std::numbers::pi * k / kP * (total.unsqueeze(1) - at::arange(kP, at::kDouble).unsqueeze(0));
  return alpha * at::cos(angle);
}

double cross_entropy_of(const at::Tensor& logits, const at::Tensor& targets) {
  return -at::log_softmax(logits, 1).gather(1, targets.unsqueeze(1)).mean().item<double>();
}

TEST_F(ProgressTest, OfTheAnalyticCircuitIsAllOrNothing) {
  const auto logits = circuit(3, 2, 1) + circuit(2, 5, 1);
  const auto found = measure(logits, kKeys);
  EXPECT_NEAR(found.full_loss, cross_entropy_of(logits, whole(logits).sums), 1e-12);
  EXPECT_NEAR(found.restricted_loss, found.full_loss, 1e-12);
  EXPECT_NEAR(found.excluded_loss, std::log(kP), 1e-12);
  EXPECT_NEAR(found.key_share, 1, 1e-12);
  EXPECT_NEAR(found.cosine_share, 1, 1e-12);
  EXPECT_NEAR(found.power_by_frequency.at(1), 9.0 / 13, 1e-12);
  EXPECT_NEAR(found.power_by_frequency.at(4), 4.0 / 13, 1e-12);
  // Without frequency 2 the circuit of frequency 5 is left, and the other way round.
  const auto left = cross_entropy_of(circuit(2, 5, 1), whole(logits).sums);
  EXPECT_NEAR(found.excluded_by_frequency.at(1), left, 1e-12);
  EXPECT_NEAR(found.excluded_by_frequency.at(0), found.full_loss, 1e-12);
}

TEST_F(ProgressTest, OfACircuitOfDifferencesIsNothing) {
  const auto logits = circuit(3, 2, -1);
  const auto found = measure(logits, kKeys);
  EXPECT_NEAR(found.restricted_loss, std::log(kP), 1e-12);
  EXPECT_NEAR(found.key_share, 0, 1e-12);
  const auto all = whole(logits);
  const auto rows = all.is_train.nonzero().squeeze(1);
  EXPECT_NEAR(found.excluded_loss,
              cross_entropy_of(logits.index_select(0, rows), all.sums.index_select(0, rows)), 1e-12);
}

TEST_F(ProgressTest, MeanLogitsAreKeptWhereRestrictedAndAnythingButAWaveIsNoCosine) {
  const auto bias = normal_init({kP}, 1, 4, "bias");
  EXPECT_NEAR(measure(circuit(3, 2, 1) + bias, {2}).restricted_loss,
              cross_entropy_of(circuit(3, 2, 1) + bias, whole(bias).sums), 1e-12);
  // cos(w(a+b+c)) is a function of a + b at the right frequency, yet not of a + b - c.
  const auto mirrored = measure(circuit(3, 2, 1).flip(1).roll(1, 1), {2});
  EXPECT_NEAR(mirrored.key_share, 1, 1e-12);
  EXPECT_NEAR(mirrored.cosine_share, 0, 1e-12);
}

TEST_F(ProgressTest, EqualsTheProjectionsWrittenOut) {
  const auto logits = normal_init({kP * kP, kP}, 2, 5, "logits") + 3;
  const auto basis = fourier_basis(kP);
  const auto outer = [&](std::int64_t i, std::int64_t j) {
    return (basis[i].unsqueeze(1) * basis[j].unsqueeze(0)).reshape({kP * kP, 1});
  };
  at::Tensor kept = at::zeros_like(logits);
  double power = 0;
  for (const auto k : kKeys) {
    const auto c = 2 * k - 1, s = 2 * k;
    for (const auto& d :
         {(outer(c, c) - outer(s, s)) / std::sqrt(2.0), (outer(s, c) + outer(c, s)) / std::sqrt(2.0)}) {
      const auto along = at::mm(d.t(), logits);
      kept = kept + at::mm(d, along);
      power += along.square().sum().item<double>();
    }
  }
  const auto all = whole(logits);
  const auto rows = all.is_train.nonzero().squeeze(1);
  const auto found = measure(logits, kKeys);
  EXPECT_NEAR(found.restricted_loss, cross_entropy_of((logits - kept).mean(0) + kept, all.sums), 1e-12);
  EXPECT_NEAR(found.excluded_loss,
              cross_entropy_of((logits - kept).index_select(0, rows), all.sums.index_select(0, rows)), 1e-12);
  EXPECT_NEAR(found.key_share, power / (logits - logits.mean(0)).square().sum().item<double>(), 1e-12);
}

TEST_F(ProgressTest, WithoutKeysOnlyTheMeanIsLeft) {
  const auto logits = normal_init({kP * kP, kP}, 2, 5, "logits");
  const auto found = measure(logits, {});
  EXPECT_NEAR(found.restricted_loss,
              cross_entropy_of(logits.mean(0).expand({kP * kP, kP}), whole(logits).sums), 1e-12);
  EXPECT_EQ(found.key_share, 0);
}

TEST_F(ProgressTest, TheTaskMeasuresItsOwnTableAndSplit) {
  const auto task = task_with(nanda_progress(), {{"data.p", "11"},
                                                 {"data.train_fraction", "0.4"},
                                                 {"model.d_model", "8"},
                                                 {"model.heads", "2"},
                                                 {"model.d_mlp", "12"}});
  Record record;
  task->observe({}, Spread(comm), record);
  const auto table = modular_table(kP, "add");
  EXPECT_NEAR(record.value_of("observables/full_loss"),
              cross_entropy_of(residue_logits(task->model(), table.inputs, kP), table.targets), 1e-12);
  const auto& train = task->data().train;
  EXPECT_EQ(train.size(), 48);
  std::vector<double> excluded;
  for (const auto& m : record.measurements) {
    if (m.quantity.path == "observables/excluded_loss_by_frequency") excluded = m.values;
  }
  ASSERT_EQ(excluded.size(), 5u);
  // Taking a wave of frequency 3 away by hand, from the logits of the training split itself.
  const auto all = residue_logits(task->model(), table.inputs, kP);
  const auto total = table.targets.to(at::kDouble).unsqueeze(1);
  auto left = residue_logits(task->model(), train.inputs, kP);
  for (const double phase : {0.0, std::numbers::pi / 2}) {
    const auto wave = [&](const at::Tensor& s) { return at::cos(2 * std::numbers::pi * 3 / kP * s - phase); };
    const auto along = at::mm(wave(total).t(), all) * 2.0 / (kP * kP);
    left = left - at::mm(wave(train.targets.to(at::kDouble).unsqueeze(1)), along);
  }
  EXPECT_NEAR(excluded[2], cross_entropy_of(left, train.targets), 1e-12);
}

}  // namespace
}  // namespace grokscope::nanda
