#include "experiments/03_nanda_progress/progress.hpp"

#include <algorithm>

#include "experiments/03_nanda_progress/fourier.hpp"
#include "nn/loss.hpp"

namespace grokscope::nanda {
namespace {

constexpr std::int64_t kChunk = 4096;

/// What the whole table has, agreed over processes.
struct Totals {
  at::Tensor by_sum;    ///< [p, p] mean logits of the pairs with a + b = s
  at::Tensor mean;      ///< [p] mean logits
  double variance = 0;  ///< sum over pairs and outputs of (logit - mean)^2
};

std::span<double> values_of(at::Tensor& tensor) {
  return {tensor.data_ptr<double>(), static_cast<std::size_t>(tensor.numel())};
}

Totals sum_over_pairs(const PairLogits& mine, const Spread& spread) {
  const auto p = mine.logits.size(1);
  Totals totals;
  totals.by_sum = at::zeros({p, p}, at::kDouble).index_add(0, mine.sums, mine.logits);
  spread.sum(values_of(totals.by_sum));
  totals.by_sum /= static_cast<double>(p);  // every s has p pairs
  totals.mean = totals.by_sum.mean(0);
  double square = (mine.logits - totals.mean).square().sum().item<double>();
  spread.sum({&square, 1});
  totals.variance = square;
  return totals;
}

/// The rows of the basis that belong to the frequencies.
at::Tensor waves(const at::Tensor& basis, const std::vector<std::int64_t>& frequencies) {
  std::vector<at::Tensor> rows{basis.slice(0, 0, 0)};
  for (const auto k : frequencies) rows.push_back(basis.slice(0, 2 * k - 1, 2 * k + 1));
  return at::cat(rows);
}

/// The projection on the waves as a function of s: [p, p]. The unit vector over pairs is f(a+b) / sqrt(p).
at::Tensor projection(const at::Tensor& waves, const at::Tensor& by_sum) {
  return at::mm(waves.t(), at::mm(waves, by_sum));
}

/// Sum over the training pairs of the cross-entropy once `taken_away` [p, p] is.
double excluded_sum(const PairLogits& train, const at::Tensor& taken_away) {
  const auto left = train.logits - taken_away.index_select(0, train.sums);
  return cross_entropy(at::kDouble)->per_example(left, train.sums).sum().item<double>();
}

PairLogits training_part(const PairLogits& all) {
  const auto rows = all.is_train.nonzero().squeeze(1);
  return {all.logits.index_select(0, rows), all.sums.index_select(0, rows),
          all.is_train.index_select(0, rows)};
}

}  // namespace

at::Tensor residue_logits(const Model& model, const at::Tensor& inputs, std::int64_t p) {
  at::NoGradGuard no_grad;
  auto logits = at::empty({inputs.size(0), p}, at::kDouble);
  for (std::int64_t begin = 0; begin < inputs.size(0); begin += kChunk) {
    const auto end = std::min(begin + kChunk, inputs.size(0));
    auto tape = Tape::inactive();
    logits.slice(0, begin, end).copy_(model.forward(inputs.slice(0, begin, end), tape).slice(1, 0, p));
  }
  return logits;
}

Progress measure_progress(const PairLogits& mine, const std::vector<std::int64_t>& keys,
                          const Spread& spread) {
  const auto p = mine.logits.size(1), frequencies = frequency_count(p);
  const auto basis = fourier_basis(p);
  const auto totals = sum_over_pairs(mine, spread);
  const auto loss = cross_entropy(at::kDouble);
  const auto train = training_part(mine);
  const auto circuit = projection(waves(basis, keys), totals.by_sum);

  // Full loss, excluded loss, number of training pairs; then the excluded loss of each frequency.
  std::vector<double> sums{loss->per_example(mine.logits, mine.sums).sum().item<double>(),
                           excluded_sum(train, circuit), static_cast<double>(train.sums.size(0))};
  Progress progress;
  for (std::int64_t k = 1; k <= frequencies; ++k) {
    const auto one = projection(waves(basis, {k}), totals.by_sum);
    sums.push_back(excluded_sum(train, one));
    progress.power_by_frequency.push_back(static_cast<double>(p) * one.square().sum().item<double>() /
                                          totals.variance);
  }
  spread.sum(sums);
  progress.full_loss = sums[0] / static_cast<double>(p * p);
  progress.excluded_loss = sums[1] / sums[2];
  for (std::int64_t k = 0; k < frequencies; ++k) {
    progress.excluded_by_frequency.push_back(sums[static_cast<std::size_t>(3 + k)] / sums[2]);
  }
  // All pairs of one sum have the same restricted logits, and every sum has p pairs.
  progress.restricted_loss =
      loss->per_example(circuit + totals.mean, at::arange(p, at::kLong)).mean().item<double>();
  for (const auto k : keys) {
    progress.key_share += progress.power_by_frequency[static_cast<std::size_t>(k - 1)];
    const auto wave = waves(basis, {k});
    // cos w(s-c) = cos ws cos wc + sin ws sin wc has norm p / sqrt(2) over (s, c), that is sqrt(2) in the
    // products of waves.
    const double along = at::mm(at::mm(wave, totals.by_sum), wave.t()).trace().item<double>();
    progress.cosine_share += static_cast<double>(p) * along * along / 2 / totals.variance;
  }
  return progress;
}

}  // namespace grokscope::nanda
