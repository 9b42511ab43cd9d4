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

/// A rectangle of a parameter's matrix, in which the bias is the last column.
struct Block {
  IndexRange rows;
  IndexRange cols;

  std::int64_t size() const { return rows.size() * cols.size(); }
};

/// target[i] += sum_t out_it in_it^T for a block of one group of a use; block.rows counts from the group's first row.
void add_use(const Use& use, std::int64_t group, const Block& block, at::Tensor target) {
  const auto n = target.size(0);
  require(use.out.kind != Kind::one_hot || use.in.kind != Kind::one_hot, "a parameter whose both factors are tokens has no gradient");
  const auto part_of = [&](const Factor& factor, IndexRange range) {
    return on_cpu(explicit_factor(factor, n, group, use.tokens).slice(2, range.begin, range.end));
  };
  if (use.out.kind == Kind::one_hot) return add_at_rows(use.out.index, block.rows.begin, part_of(use.in, block.cols), target);
  const auto out = part_of(use.out, block.rows);
  if (use.in.kind == Kind::one_hot) return add_at_rows(use.in.index, block.cols.begin, out, target.transpose(1, 2));
  const auto in = part_of(use.in, block.cols);
  // bmm calls BLAS once an example: a small block is made sooner token by token.
  constexpr std::int64_t kFewMacs = 4096;
  if (use.tokens == 1 || use.tokens * block.size() <= kFewMacs) {
    for (std::int64_t t = 0; t < use.tokens; ++t) {
      target.addcmul_(out.select(1, t).unsqueeze(2), in.select(1, t).unsqueeze(1));
    }
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

/// target [n, rows, cols] = a block of the gradients with respect to one parameter.
void fill_block(const Tap& tap, const Block& block, at::Tensor target) {
  const auto n = target.size(0);
  if (is_one_product(tap)) {
    const auto& use = tap.uses.front();
    const auto out = on_cpu(explicit_factor(use.out, n, 0, 1).slice(2, block.rows.begin, block.rows.end));
    const auto in = on_cpu(explicit_factor(use.in, n, 0, 1).slice(2, block.cols.begin, block.cols.end));
    at::mul_out(target, out.select(1, 0).unsqueeze(2), in.select(1, 0).unsqueeze(1));
    return;
  }
  target.zero_();
  for (const auto& use : tap.uses) {
    for (std::int64_t g = 0; g < use.groups; ++g) {
      const auto part = rows_in_group(block.rows, g, use.out.dim);
      if (part.of_group.size() == 0) continue;
      add_use(use, g, {part.of_group, block.cols}, target.slice(1, part.at, part.at + part.of_group.size()));
    }
  }
}

/// The largest block that a stretch of a parameter's elements begins with: whole rows, a part of a row, or a part of the bias.
Block leading_block(const Tap& tap, IndexRange elements) {
  const auto weights = tap.rows * tap.cols;
  if (elements.begin >= weights) return {{elements.begin - weights, elements.end - weights}, {tap.cols, tap.cols + 1}};
  const auto size = std::min(elements.end, weights) - elements.begin;
  const auto row = elements.begin / tap.cols, col = elements.begin % tap.cols;
  if (col == 0 && size >= tap.cols) return {{row, row + size / tap.cols}, {0, tap.cols}};
  return {{row, row + 1}, {col, std::min(col + size, tap.cols)}};
}

/// target [n, size] = the gradients with respect to a stretch of one parameter's elements, and nothing beside it is made.
void fill_elements(const Tap& tap, IndexRange elements, const at::Tensor& target) {
  std::int64_t size = 0;
  for (std::int64_t done = 0; done < elements.size(); done += size) {
    const auto block = leading_block(tap, {elements.begin + done, elements.end});
    size = block.size();
    fill_block(tap, block, target.slice(1, done, done + size).view({target.size(0), block.rows.size(), block.cols.size()}));
  }
}

}  // namespace

at::Tensor materialise(const Tap& tap, std::int64_t n) {
  auto result = at::empty({n, tap.size()}, at::kDouble);
  fill_elements(tap, {0, tap.size()}, result);
  return result;
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
  const auto n_columns = static_cast<std::int64_t>(columns.size());
  auto result = at::empty({taps.n, n_columns}, at::kDouble);
  auto tap = taps.taps.begin();
  std::int64_t end = 0;
  for (std::int64_t begin = 0; begin < n_columns; begin = end) {
    const auto column = [&](std::int64_t k) { return columns[static_cast<std::size_t>(k)] - tap->offset; };
    while (tap != taps.taps.end() && column(begin) >= tap->size()) ++tap;
    require(tap != taps.taps.end() && column(begin) >= 0, "a parameter was asked for that has no tap");
    for (end = begin + 1; end < n_columns && column(end) == column(end - 1) + 1 && column(end) < tap->size();) ++end;
    fill_elements(*tap, {column(begin), column(end - 1) + 1}, result.slice(1, begin, end));
  }
  return result;
}

}  // namespace grokscope
