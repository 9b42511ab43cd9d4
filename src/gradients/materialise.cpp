#include "gradients/materialise.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace grokscope {
namespace {

using Kind = Factor::Kind;

/// Which rows of a parameter, and of them those of one group: [begin, end) within the group, at `at` of the result.
struct GroupRows {
  IndexRange of_group;
  std::int64_t at;
};

GroupRows rows_in_group(IndexRange rows, std::int64_t group, std::int64_t width) {
  const auto begin = std::max(rows.begin, group * width), end = std::min(rows.end, (group + 1) * width);
  return {{begin - group * width, std::max(begin, end) - group * width}, begin - rows.begin};
}

/// The factor of one group as [n, T, d] float64 on the CPU. Not for one_hot: that would be a table of zeros.
at::Tensor explicit_factor(const Factor& factor, std::int64_t n, std::int64_t group, std::int64_t tokens) {
  if (factor.kind == Kind::dense) return factor.values.select(1, group);
  if (factor.kind == Kind::one) return at::ones({n, tokens, 1}, at::kDouble);
  require(factor.kind == Kind::constant, "unit vectors have no explicit factor");
  return factor.values[group].unsqueeze(0).expand({n, tokens, factor.dim});
}

at::Tensor on_cpu(const at::Tensor& factor) { return factor.to(at::kCPU, at::kDouble); }

/// target[i, id_it - first, :] += vectors[i, t, :] for the ids that lie in the target, which is [n, d, width].
void add_at_rows(const at::Tensor& ids, std::int64_t first, const at::Tensor& vectors, at::Tensor target) {
  const auto n = vectors.size(0), tokens = vectors.size(1), d = target.size(1);
  // Ids outside go to a row behind the last one, which is dropped.
  auto row = ids.to(at::kCPU).expand({n, tokens}) - first;
  row = at::where(row.ge(0).logical_and(row.lt(d)), row, at::full_like(row, d));
  const auto of_example = at::arange(n, at::kLong).mul(d + 1).unsqueeze(1);
  auto sum = at::zeros({n * (d + 1), vectors.size(2)}, at::kDouble);
  sum.index_add_(0, (row + of_example).reshape({-1}), vectors.reshape({n * tokens, vectors.size(2)}));
  target += sum.view({n, d + 1, vectors.size(2)}).slice(1, 0, d);
}

/// target[i] += sum_t out_it in_it^T for the rows `rows` of one group of a use.
void add_use(const Use& use, std::int64_t group, IndexRange rows, at::Tensor target) {
  const auto n = target.size(0);
  require(use.out.kind != Kind::one_hot || use.in.kind != Kind::one_hot, "a parameter whose both factors are tokens has no gradient");
  if (use.out.kind == Kind::one_hot) {
    return add_at_rows(use.out.index, rows.begin, on_cpu(explicit_factor(use.in, n, group, use.tokens)), target);
  }
  const auto out = on_cpu(explicit_factor(use.out, n, group, use.tokens).slice(2, rows.begin, rows.end));
  if (use.in.kind == Kind::one_hot) return add_at_rows(use.in.index, 0, out, target.transpose(1, 2));
  const auto in = on_cpu(explicit_factor(use.in, n, group, use.tokens));
  if (use.tokens == 1) {
    target.addcmul_(out.select(1, 0).unsqueeze(2), in.select(1, 0).unsqueeze(1));
  } else {
    target += at::bmm(out.transpose(1, 2), in);
  }
}

/// True where an example's gradient is one outer product: it need not be added to anything.
bool is_one_product(const Tap& tap) {
  if (tap.uses.size() != 1) return false;
  const auto& use = tap.uses.front();
  return use.groups == 1 && use.tokens == 1 && use.out.kind != Kind::one_hot && use.in.kind != Kind::one_hot;
}

/// Rows `rows` of the gradients with respect to one parameter as a matrix, [n, rows, width].
at::Tensor materialise_rows(const Tap& tap, std::int64_t n, IndexRange rows) {
  if (is_one_product(tap)) {
    const auto& use = tap.uses.front();
    const auto out = on_cpu(explicit_factor(use.out, n, 0, 1).slice(2, rows.begin, rows.end));
    const auto in = on_cpu(explicit_factor(use.in, n, 0, 1));
    auto product = at::empty({n, rows.size(), tap.width()}, at::kDouble);
    return at::mul_out(product, out.select(1, 0).unsqueeze(2), in.select(1, 0).unsqueeze(1));
  }
  auto result = at::zeros({n, rows.size(), tap.width()}, at::kDouble);
  for (const auto& use : tap.uses) {
    for (std::int64_t g = 0; g < use.groups; ++g) {
      const auto part = rows_in_group(rows, g, use.out.dim);
      if (part.of_group.size() > 0) add_use(use, g, part.of_group, result.slice(1, part.at, part.at + part.of_group.size()));
    }
  }
  return result;
}

/// The gradients with respect to some elements of a parameter: only the rows in which these lie are made.
at::Tensor materialise_some(const Tap& tap, std::int64_t n, std::span<const std::int64_t> columns) {
  const auto weights = tap.rows * tap.cols;
  const auto place_of = [&](std::int64_t column) {
    const auto element = column - tap.offset;
    return element < weights ? std::pair{element / tap.cols, element % tap.cols} : std::pair{element - weights, tap.cols};
  };
  IndexRange rows{tap.rows, 0};
  for (const auto column : columns) {
    const auto row = place_of(column).first;
    rows = {std::min(rows.begin, row), std::max(rows.end, row + 1)};
  }
  auto index = at::empty({static_cast<std::int64_t>(columns.size())}, at::kLong);
  std::ranges::transform(columns, index.data_ptr<std::int64_t>(), [&](std::int64_t column) {
    const auto [row, col] = place_of(column);
    return (row - rows.begin) * tap.width() + col;
  });
  const auto gradients = materialise_rows(tap, n, rows).view({n, rows.size() * tap.width()});
  const std::span<const std::int64_t> places(index.data_ptr<std::int64_t>(), columns.size());
  const bool is_a_stretch = std::ranges::adjacent_find(places, [](auto a, auto b) { return b != a + 1; }) == places.end();
  return is_a_stretch ? gradients.slice(1, places.front(), places.back() + 1) : gradients.index_select(1, index);
}

}  // namespace

at::Tensor materialise(const Tap& tap, std::int64_t n) {
  return flatten_parameter(tap, materialise_rows(tap, n, {0, tap.rows}));
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
    if (last - first == tap.size()) {
      parts.push_back(materialise(tap, taps.n));
    } else {
      parts.push_back(materialise_some(tap, taps.n, {first, last}));
    }
    first = last;
  }
  return parts.size() == 2 ? parts.back() : at::cat(parts, 1);
}

}  // namespace grokscope
