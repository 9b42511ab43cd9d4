#include "gradients/repeated_inputs.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "gradients/gradient_matrix.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kBytesOfV = 8 << 20;

bool has_vectors(const Tap& tap) {
  return tap.uses.size() == 1 && tap.uses[0].groups == 1 && tap.uses[0].in.kind == Factor::Kind::dense &&
         tap.uses[0].out.kind == Factor::Kind::dense;
}

/// [n, T, d].
at::Tensor vectors_of(const Factor& factor) { return factor.values.select(1, 0); }

struct Classes {
  std::vector<std::int64_t> first;  ///< an example of each
  std::vector<std::int64_t> which;
};

/// Rows that are equal to the last bit make a class; nothing where there are more than `limit`.
std::optional<Classes> classes_of(const at::Tensor& rows, std::int64_t limit) {
  const auto values = rows.to(at::kCPU).contiguous();
  const auto* bytes = static_cast<const char*>(values.data_ptr());
  const auto length = static_cast<std::size_t>(values.size(1)) * values.element_size();
  std::unordered_map<std::string_view, std::int64_t> seen;
  Classes classes;
  for (std::int64_t i = 0; i < values.size(0); ++i) {
    const std::string_view row(bytes + static_cast<std::size_t>(i) * length, length);
    const auto [found, is_new] = seen.emplace(row, static_cast<std::int64_t>(seen.size()));
    if (is_new) classes.first.push_back(i);
    if (static_cast<std::int64_t>(seen.size()) > limit) return {};
    classes.which.push_back(found->second);
  }
  return classes;
}

at::Tensor indices(const std::vector<std::int64_t>& values, const at::Tensor& like) {
  return at::tensor(values, at::kLong).to(like.device());
}

Tap with_tokens(const Tap& tap, const std::vector<std::int64_t>& kept) {
  Tap result = tap;
  auto& use = result.uses[0];
  use.tokens = static_cast<std::int64_t>(kept.size());
  for (auto* factor : {&use.in, &use.out}) factor->values = factor->values.index_select(2, indices(kept, factor->values));
  return result;
}

/// The examples of a range, those of one class together; class r has places [starts[r], starts[r + 1]).
struct Sorted {
  std::vector<std::int64_t> order, starts;

  Sorted(const std::vector<std::int64_t>& which, IndexRange rows, std::int64_t classes)
      : order(static_cast<std::size_t>(rows.size())), starts(static_cast<std::size_t>(classes) + 1, 0) {
    const auto class_of = [&](std::int64_t i) { return static_cast<std::size_t>(which[static_cast<std::size_t>(rows.begin + i)]); };
    for (std::int64_t i = 0; i < rows.size(); ++i) ++starts[class_of(i) + 1];
    std::partial_sum(starts.begin(), starts.end(), starts.begin());
    auto next = starts;
    for (std::int64_t i = 0; i < rows.size(); ++i) order[static_cast<std::size_t>(next[class_of(i)]++)] = i;
  }
};

/// A matrix of the same layout: what is contiguous there is contiguous here.
at::Tensor empty_like_block(const at::Tensor& block) {
  if (block.stride(0) == 1) return at::empty({block.size(1), block.size(0)}, block.options()).t();
  return at::empty(block.sizes(), block.options());
}

/// block[order[k], :] += part[k, :].
void add_rows(const std::vector<std::int64_t>& order, const at::Tensor& part, at::Tensor& block) {
  if (!block.device().is_cpu()) {
    block.index_add_(0, indices(order, block), part);
    return;
  }
  auto* to = block.data_ptr<double>();
  const auto* from = part.data_ptr<double>();
  const auto rows = static_cast<std::int64_t>(order.size()), cols = block.size(1);
  const auto to_row = block.stride(0), to_col = block.stride(1), from_row = part.stride(0), from_col = part.stride(1);
  if (to_row == 1) {
    for (std::int64_t j = 0; j < cols; ++j) {
      for (std::int64_t k = 0; k < rows; ++k) to[order[static_cast<std::size_t>(k)] + j * to_col] += from[k + j * from_col];
    }
  } else {
    for (std::int64_t k = 0; k < rows; ++k) {
      auto* row = to + order[static_cast<std::size_t>(k)] * to_row;
      for (std::int64_t j = 0; j < cols; ++j) row[j * to_col] += from[k * from_row + j];
    }
  }
}

}  // namespace

RepeatedInputs::RepeatedInputs(const Tap& tap, std::int64_t n, std::int64_t most_inputs)
    : tap_(tap), others_(tap), n_(std::max<std::int64_t>(1, n)) {
  if (!has_vectors(tap)) return;
  const auto in = vectors_of(tap.uses[0].in);
  std::vector<std::int64_t> kept;
  for (std::int64_t t = 0; t < in.size(1); ++t) {
    const auto inputs = in.select(1, t);
    auto classes = classes_of(inputs, most_inputs);
    if (!classes || classes->first.empty()) {
      kept.push_back(t);
    } else {
      tokens_.push_back({t, inputs.index_select(0, indices(classes->first, inputs)), std::move(classes->which)});
    }
  }
  if (!tokens_.empty()) others_ = with_tokens(tap, kept);
}

void RepeatedInputs::add(IndexRange rows, const Tap& other, IndexRange cols, at::Tensor& block) const {
  if (empty() || other.uses[0].tokens == 0) return;
  const auto columns = slice_rows(other, cols);
  for (const auto& token : tokens_) add_token(token, rows, columns.uses[0], block);
}

void RepeatedInputs::add_token(const Token& token, IndexRange rows, const Use& other, at::Tensor& block) const {
  const auto in = vectors_of(other.in), out = vectors_of(other.out);  // [columns, T, d]
  const auto columns = in.size(0), tokens = in.size(1), d_out = out.size(2), classes = token.inputs.size(0);
  const auto mine = vectors_of(tap_.uses[0].out).select(1, token.place).slice(0, rows.begin, rows.end);
  const auto weights = in.reshape({columns * tokens, in.size(2)}).mm(token.inputs.t()).view({columns, tokens, classes});
  if (classes == 1) {
    block.addmm_(mine, weights.mul(out).sum(1).t());
    return;
  }
  const Sorted sorted(token.which, rows, classes);
  const auto left = mine.index_select(0, indices(sorted.order, mine));
  auto part = empty_like_block(block);
  const auto at_once = std::max<std::int64_t>(1, kBytesOfV / (8 * std::max<std::int64_t>(1, columns * d_out)));
  for (std::int64_t first = 0; first < classes; first += at_once) {
    const auto end = std::min(first + at_once, classes);
    const auto v = at::bmm(weights.slice(2, first, end).transpose(1, 2), out);  // [columns, classes, d_out]
    for (auto r = first; r < end; ++r) {
      const auto begin = sorted.starts[static_cast<std::size_t>(r)], stop = sorted.starts[static_cast<std::size_t>(r) + 1];
      if (begin == stop) continue;
      auto of_class = part.slice(0, begin, stop);
      at::mm_out(of_class, left.slice(0, begin, stop), v.select(1, r - first).t());
    }
  }
  add_rows(sorted.order, part, block);
}

double RepeatedInputs::macs_per_pair(std::int64_t other_tokens) const {
  if (other_tokens == 0) return 0;
  double macs = 0;
  for (const auto& token : tokens_) {
    const auto d_in = static_cast<double>(tap_.uses[0].in.dim), d_out = static_cast<double>(tap_.uses[0].out.dim);
    // Of half of the pairs all v are made.
    const double made = 2 * static_cast<double>(token.inputs.size(0)) / static_cast<double>(n_);
    macs += d_out + made * static_cast<double>(other_tokens) * (d_in + d_out);
  }
  return macs;
}

}  // namespace grokscope
