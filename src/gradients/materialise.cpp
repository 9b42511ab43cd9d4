#include "gradients/materialise.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace grokscope {
namespace {

using Kind = Factor::Kind;

/// The factor of one group as [n, T, d] float64 on the CPU. Not for one_hot: that would be a table of zeros.
at::Tensor explicit_factor(const Factor& factor, std::int64_t n, std::int64_t group, std::int64_t tokens) {
  if (factor.kind == Kind::dense) return factor.values.select(1, group).to(at::kCPU, at::kDouble);
  if (factor.kind == Kind::one) return at::ones({n, tokens, 1}, at::kDouble);
  require(factor.kind == Kind::constant, "unit vectors have no explicit factor");
  return factor.values[group].to(at::kCPU, at::kDouble).unsqueeze(0).expand({n, tokens, factor.dim});
}

/// target[i, id_it, :] += vectors[i, t, :]; target [n, d, width].
void add_at_rows(const at::Tensor& ids, const at::Tensor& vectors, at::Tensor target) {
  const auto n = vectors.size(0), tokens = vectors.size(1), d = target.size(1);
  const auto first = at::arange(n, at::kLong).mul(d).unsqueeze(1);
  const auto rows = (ids.to(at::kCPU).expand({n, tokens}) + first).reshape({-1});
  auto sum = at::zeros({n * d, vectors.size(2)}, at::kDouble);
  sum.index_add_(0, rows, vectors.reshape({n * tokens, vectors.size(2)}));
  target += sum.view({n, d, vectors.size(2)});
}

/// target[i] += sum_t out_it in_it^T for one group of a use.
void add_use(const Use& use, std::int64_t group, at::Tensor target) {
  const auto n = target.size(0);
  require(use.out.kind != Kind::one_hot || use.in.kind != Kind::one_hot, "a parameter whose both factors are tokens has no gradient");
  if (use.out.kind == Kind::one_hot) {
    add_at_rows(use.out.index, explicit_factor(use.in, n, group, use.tokens), target);
  } else if (use.in.kind == Kind::one_hot) {
    add_at_rows(use.in.index, explicit_factor(use.out, n, group, use.tokens), target.transpose(1, 2));
  } else {
    const auto out = explicit_factor(use.out, n, group, use.tokens), in = explicit_factor(use.in, n, group, use.tokens);
    target += at::bmm(out.transpose(1, 2), in);
  }
}

}  // namespace

at::Tensor materialise(const Tap& tap, std::int64_t n) {
  auto result = at::zeros({n, tap.rows, tap.width()}, at::kDouble);
  for (const auto& use : tap.uses) {
    const auto width = use.out.dim;
    for (std::int64_t g = 0; g < use.groups; ++g) add_use(use, g, result.slice(1, g * width, (g + 1) * width));
  }
  return flatten_parameter(tap, result);
}

at::Tensor flatten_parameter(const Tap& tap, const at::Tensor& values) {
  const auto n = values.size(0);
  if (!tap.has_bias) return values.reshape({n, tap.size()});
  return at::cat({values.slice(2, 0, tap.cols).reshape({n, tap.rows * tap.cols}), values.select(2, tap.cols)}, 1);
}

at::Tensor unflatten_parameter(const Tap& tap, const at::Tensor& values) {
  const auto k = values.size(1), weights = tap.rows * tap.cols;
  const auto weight = values.slice(0, 0, weights).reshape({tap.rows, tap.cols, k});
  if (!tap.has_bias) return weight;
  return at::cat({weight, values.slice(0, weights).reshape({tap.rows, 1, k})}, 1);
}

at::Tensor materialise_columns(const Taps& taps, std::span<const std::int64_t> columns) {
  std::vector<at::Tensor> parts{at::empty({taps.n, 0}, at::kDouble)};
  auto first = columns.begin();
  for (const auto& tap : taps.taps) {
    const auto last = std::lower_bound(first, columns.end(), tap.offset + tap.size());
    if (first == last) continue;
    auto index = at::empty({last - first}, at::kLong);
    std::transform(first, last, index.data_ptr<std::int64_t>(), [&](auto column) { return column - tap.offset; });
    const bool all = index.size(0) == tap.size();
    const auto gradients = materialise(tap, taps.n);
    parts.push_back(all ? gradients : gradients.index_select(1, index));
    first = last;
  }
  return parts.size() == 2 ? parts.back() : at::cat(parts, 1);
}

}  // namespace grokscope
