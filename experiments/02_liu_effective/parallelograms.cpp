#include "experiments/02_liu_effective/parallelograms.hpp"

#include <algorithm>
#include <set>

namespace grokscope::liu {
namespace {

constexpr double kTolerance = 0.01;     ///< of the authors' program, on standardised embeddings
constexpr double kNumericallyZero = 1e-8;

at::Tensor in_float64(const at::Tensor& t) { return t.detach().to(at::kCPU, at::kDouble); }

/// e_i + e_j for every pair, [n, p].
at::Tensor indicator(const at::Tensor& pairs, std::int64_t p) {
  const auto rows = at::zeros({pairs.size(0), p}, at::kDouble);
  const auto ones = at::ones({pairs.size(0), 1}, at::kDouble);
  const auto index = pairs.to(at::kCPU);
  return rows.scatter_add(1, index.slice(1, 0, 1), ones).scatter_add(1, index.slice(1, 1, 2), ones);
}

at::Tensor rows_of(std::vector<at::Tensor> rows, std::int64_t p) {
  return rows.empty() ? at::zeros({0, p}, at::kDouble) : at::stack(rows);
}

std::vector<double> key(const at::Tensor& row) {
  const auto values = row.contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

}  // namespace

at::Tensor unordered_pairs(std::int64_t p) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < p; ++i) {
    for (std::int64_t j = i; j < p; ++j) values.insert(values.end(), {i, j});
  }
  return at::tensor(values, at::kLong).view({-1, 2});
}

at::Tensor equations(const at::Tensor& pairs, std::int64_t p) {
  const auto sides = indicator(pairs, p);
  const auto sums = pairs.to(at::kCPU).sum(1);
  std::vector<at::Tensor> rows;
  for (std::int64_t a = 0; a < pairs.size(0); ++a) {
    for (std::int64_t b = a + 1; b < pairs.size(0); ++b) {
      if (sums[a].item<std::int64_t>() == sums[b].item<std::int64_t>()) rows.push_back(sides[a] - sides[b]);
    }
  }
  return rows_of(std::move(rows), p);
}

at::Tensor standardised(const at::Tensor& embeddings) {
  const auto e = in_float64(embeddings);
  return (e - e.mean(0, true)) / e.std(0, true, true);
}

at::Tensor fulfilled(const at::Tensor& rows, const at::Tensor& embeddings) {
  return at::mm(rows, standardised(embeddings)).square().mean(1) < kTolerance;
}

double representation_quality(const at::Tensor& all_rows, const at::Tensor& embeddings) {
  return fulfilled(all_rows, embeddings).to(at::kDouble).mean().item<double>();
}

at::Tensor effective_loss(const at::Tensor& rows, const at::Tensor& embeddings) {
  return at::mm(rows, embeddings).square().sum(1).mean() / embeddings.square().sum();
}

std::vector<double> effective_rates(const at::Tensor& rows) {
  const auto p = rows.size(1);
  const auto count = static_cast<double>(std::max<std::int64_t>(1, rows.size(0)));
  const auto hessian = 2 / (count * static_cast<double>(p - 1)) * at::mm(rows.t(), rows);
  return key(at::linalg_eigvalsh(hessian));
}

double deducible_share(const at::Tensor& train, const at::Tensor& test, const at::Tensor& rows_known) {
  std::set<std::vector<double>> known;
  for (std::int64_t k = 0; k < rows_known.size(0); ++k) known.insert(key(rows_known[k])), known.insert(key(-rows_known[k]));
  const auto p = rows_known.size(1);
  const auto trained = indicator(train, p);
  std::int64_t answered = train.size(0);
  for (const auto& side : indicator(test, p).unbind(0)) {
    const auto candidates = (side - trained).unbind(0);
    answered += std::any_of(candidates.begin(), candidates.end(), [&](const auto& row) { return known.contains(key(row)); });
  }
  return static_cast<double>(answered) / static_cast<double>(train.size(0) + test.size(0));
}

at::Tensor implied(const at::Tensor& rows, std::int64_t p) {
  // A row follows from others exactly when it lies in their span: when projecting it there leaves it as it is.
  const auto [values, vectors] = at::linalg_eigh(at::mm(rows.t(), rows), "U");
  const auto span = vectors.index_select(1, at::nonzero(values > kNumericallyZero).reshape({-1}));
  const auto all = equations(unordered_pairs(p), p);
  const auto outside = (all - at::mm(at::mm(all, span), span.t())).square().sum(1);
  return all.index_select(0, at::nonzero(outside < kNumericallyZero).reshape({-1}));
}

}  // namespace grokscope::liu
