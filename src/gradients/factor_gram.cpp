#include "gradients/factor_gram.hpp"

#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "gradients/materialise.hpp"

namespace grokscope {
namespace {

using Kind = Factor::Kind;

/// The inner products of one factor for a tile, in the cheapest form that holds them.
struct Bracket {
  enum class Form { number, product, matches, tile };
  Form form = Form::number;
  double number = 1;
  at::Tensor left, right;  ///< product: left right^T; matches: ids of rows and of columns; tile: left

  static Bracket of_number(double value) { return {Form::number, value, {}, {}}; }
  static Bracket of_product(at::Tensor a, at::Tensor b) { return {Form::product, 1, std::move(a), std::move(b)}; }
  static Bracket of_matches(at::Tensor a, at::Tensor b) { return {Form::matches, 1, std::move(a), std::move(b)}; }
  static Bracket of_tile(at::Tensor values) { return {Form::tile, 1, std::move(values), {}}; }
};

/// One side of a bracket: which factor, which examples, which group and token.
struct Side {
  const Factor& factor;
  IndexRange range;
  std::int64_t group;
  std::int64_t token;

  bool shared() const { return !factor.per_example().defined(); }
  /// [n, d], or [1, d] for a constant.
  at::Tensor vectors() const {
    if (factor.kind == Kind::constant) return factor.values[group][token].unsqueeze(0);
    return factor.values.slice(0, range.begin, range.end).select(1, group).select(1, token);
  }
  /// [n], or [1] for a token that all examples share.
  at::Tensor ids() const {
    const auto column = factor.index.select(1, token);
    return shared() ? column : column.slice(0, range.begin, range.end);
  }
};

at::Tensor expand_rows(const at::Tensor& t, std::int64_t n) { return t.size(0) == n ? t : t.expand({n, t.size(1)}); }

/// e_id . v_j for rows with one-hot ids and columns with vectors v.
at::Tensor picked(const Side& hot, const at::Tensor& vectors) {
  return vectors.t().index_select(0, hot.ids());
}

Bracket make_bracket(const Side& a, const Side& b) {
  const auto m = a.range.size(), n = b.range.size();
  const Kind ka = a.factor.kind, kb = b.factor.kind;
  if (ka == Kind::one && kb == Kind::one) return Bracket::of_number(1);
  if (ka == Kind::one_hot && kb == Kind::one_hot) {
    if (a.shared() && b.shared()) return Bracket::of_number(a.ids().equal(b.ids()) ? 1 : 0);
    return Bracket::of_matches(a.ids().expand({m}), b.ids().expand({n}));
  }
  if (ka == Kind::one_hot) return Bracket::of_tile(picked(a, b.vectors()).expand({m, n}));
  if (kb == Kind::one_hot) return Bracket::of_tile(picked(b, a.vectors()).t().expand({m, n}));
  require(ka != Kind::one && kb != Kind::one, "a bias and a weight share no inner product");
  const auto left = a.vectors(), right = b.vectors();
  if (a.shared() && b.shared()) return Bracket::of_number(left.mul(right).sum().item<double>());
  return Bracket::of_product(expand_rows(left, m), expand_rows(right, n));
}

/// A column-major float64 matrix of the tile's size.
at::Tensor scratch_like(const at::Tensor& tile) {
  return at::empty({tile.size(1), tile.size(0)}, tile.options()).t();
}

at::Tensor as_tile(const Bracket& bracket, const at::Tensor& like) {
  switch (bracket.form) {
    case Bracket::Form::number: return at::full_like(like, bracket.number);
    case Bracket::Form::product: {
      auto result = scratch_like(like);
      return at::mm_out(result, bracket.left, bracket.right.t());
    }
    case Bracket::Form::matches: return bracket.left.unsqueeze(1).eq(bracket.right.unsqueeze(0)).to(at::kDouble);
    case Bracket::Form::tile: return bracket.left;
  }
  throw InternalError("unknown bracket form");
}

/// Calls visit(i, j) for every pair with equal ids: columns are sorted by id once, so the cost is rows + cols + matches.
template <class Visit>
void for_each_match(const at::Tensor& row_ids, const at::Tensor& col_ids, Visit visit) {
  const auto rows = row_ids.contiguous(), cols = col_ids.contiguous();
  const auto *r = rows.data_ptr<std::int64_t>(), *c = cols.data_ptr<std::int64_t>();
  std::vector<std::int64_t> order(static_cast<std::size_t>(cols.size(0)));
  for (std::size_t j = 0; j < order.size(); ++j) order[j] = static_cast<std::int64_t>(j);
  std::stable_sort(order.begin(), order.end(), [&](auto x, auto y) { return c[x] < c[y]; });
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    auto first = std::lower_bound(order.begin(), order.end(), r[i], [&](auto j, auto id) { return c[j] < id; });
    for (; first != order.end() && c[*first] == r[i]; ++first) visit(i, *first);
  }
}

double dot(const double* a, const double* b, std::int64_t n) {
  // Four partial sums: the compiler may then use vector registers without reordering a sum behind our back.
  double s[4] = {};
  std::int64_t k = 0;
  for (; k + 4 <= n; k += 4) {
    for (int l = 0; l < 4; ++l) s[l] += a[k + l] * b[k + l];
  }
  for (; k < n; ++k) s[0] += a[k] * b[k];
  return (s[0] + s[1]) + (s[2] + s[3]);
}

void add_matches(const Bracket& matches, const Bracket& other, at::Tensor& tile) {
  double* out = tile.data_ptr<double>();
  const auto si = tile.stride(0), sj = tile.stride(1);
  const auto add = [&](auto value_at) {
    for_each_match(matches.left, matches.right,
                   [&](std::int64_t i, std::int64_t j) { out[i * si + j * sj] += value_at(i, j); });
  };
  if (other.form == Bracket::Form::number) {
    add([&](auto, auto) { return other.number; });
  } else if (other.form == Bracket::Form::product) {
    const auto left = other.left.stride(1) == 1 ? other.left : other.left.contiguous();
    const auto right = other.right.stride(1) == 1 ? other.right : other.right.contiguous();
    const auto *a = left.data_ptr<double>(), *b = right.data_ptr<double>();
    const auto sa = left.stride(0), sb = right.stride(0), d = left.size(1);
    add([&](auto i, auto j) { return dot(a + i * sa, b + j * sb, d); });
  } else {
    const auto values = as_tile(other, tile).contiguous();
    const auto* v = values.data_ptr<double>();
    const auto n = tile.size(1);
    add([&](auto i, auto j) { return v[i * n + j]; });
  }
}

/// tile += a o b.
void add_product(const Bracket& a, const Bracket& b, at::Tensor& tile) {
  using Form = Bracket::Form;
  if (a.form == Form::number && a.number == 0) return;
  if (b.form == Form::number) {
    if (a.form != Form::number) return add_product(b, a, tile);
    tile.add_(a.number * b.number);
    return;
  }
  const bool on_cpu = tile.device().is_cpu();
  if (a.form == Form::matches && on_cpu) return add_matches(a, b, tile);
  if (b.form == Form::matches && on_cpu) return add_matches(b, a, tile);
  if (a.form == Form::number && b.form == Form::product) {
    tile.addmm_(b.left, b.right.t(), 1, a.number);
    return;
  }
  tile.addcmul_(as_tile(a, tile), as_tile(b, tile));
}

void add_structured_tile(const Tap& a, IndexRange rows, const Tap& b, IndexRange cols, at::Tensor& tile) {
  for (const auto& u : a.uses) {
    for (const auto& v : b.uses) {
      for (std::int64_t g = 0; g < u.groups; ++g) {
        for (std::int64_t t = 0; t < u.tokens; ++t) {
          for (std::int64_t s = 0; s < v.tokens; ++s) {
            const auto in = make_bracket({u.in, rows, g, t}, {v.in, cols, g, s});
            if (in.form == Bracket::Form::number && in.number == 0) continue;
            add_product(in, make_bracket({u.out, rows, g, t}, {v.out, cols, g, s}), tile);
          }
        }
      }
    }
  }
}

bool has_common_groups(const Tap& tap) {
  return std::all_of(tap.uses.begin(), tap.uses.end(), [&](const Use& u) { return u.groups == tap.uses.front().groups; });
}

/// One group and some of its rows, as a tap of its own.
Tap slab(const Tap& tap, std::int64_t group, IndexRange rows) {
  Tap result = tap;
  result.rows = rows.size();
  result.has_bias = false;  // the order of elements does not matter here: the bias is one more column
  result.cols = tap.width();
  for (auto& use : result.uses) {
    use.groups = 1;
    for (auto* factor : {&use.out, &use.in}) {
      const auto axis = factor->kind == Kind::dense ? 1 : 0;
      if (factor->values.defined()) factor->values = factor->values.narrow(axis, group, 1);
    }
    use.out.values = use.out.values.slice(-1, rows.begin, rows.end);
    use.out.dim = rows.size();
  }
  return result;
}

/// Calls visit(part of a, part of b) for parts that cover the parameter, small enough for explicit gradients of a tile.
template <class Visit>
void for_each_slab(const Tap& a, const Tap& b, Visit visit) {
  constexpr std::int64_t kElements = 1 << 14;  // times 256 examples and 8 bytes: 34 MB
  const bool has_rows = std::all_of(a.uses.begin(), a.uses.end(), [](const Use& u) { return u.out.values.defined(); });
  if (!has_common_groups(a) || !has_rows) return visit(a, b);
  const auto groups = a.uses.front().groups, d = a.uses.front().out.dim;
  const auto step = std::max<std::int64_t>(1, kElements / a.width());
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t begin = 0; begin < d; begin += step) {
      const IndexRange rows{begin, std::min(begin + step, d)};
      visit(slab(a, g, rows), slab(b, g, rows));
    }
  }
}

void add_materialised_tile(const Tap& a, IndexRange rows, const Tap& b, IndexRange cols, at::Tensor& tile) {
  for_each_slab(slice_rows(a, rows), slice_rows(b, cols), [&](const Tap& left, const Tap& right) {
    const auto of_rows = materialise(left, rows.size()).to(tile.device());
    const auto of_cols = materialise(right, cols.size()).to(tile.device());
    tile.addmm_(of_rows, of_cols.t());
  });
}

/// Products of vectors cost their length; tokens, tables and what all pairs share cost nothing.
double bracket_macs(const Factor& a, const Factor& b) {
  const auto is_vector = [](const Factor& f) { return f.kind == Kind::dense || f.kind == Kind::constant; };
  const bool varies = a.kind == Kind::dense || b.kind == Kind::dense;
  return varies && is_vector(a) && is_vector(b) ? static_cast<double>(a.dim) : 0;
}

/// The share of pairs with equal tokens, for two factors of tokens; 1 for all others.
double matching_share(const Factor& a, std::int64_t t, const Factor& b, std::int64_t s) {
  if (a.kind != Kind::one_hot || b.kind != Kind::one_hot) return 1;
  const bool both_shared = !a.per_example().defined() && !b.per_example().defined();
  if (both_shared) return a.index[0][t].equal(b.index[0][s]) ? 1 : 0;
  return 1 / static_cast<double>(a.dim);
}

}  // namespace

Tap to_double(const Tap& tap) {
  Tap result = tap;
  for (auto& use : result.uses) {
    for (auto* factor : {&use.out, &use.in}) {
      if (factor->values.defined()) factor->values = factor->values.to(at::kDouble);
    }
  }
  return result;
}

GramKernel cheaper_kernel(const Tap& tap) {
  return materialised_macs_per_pair(tap) < structured_macs_per_pair(tap) ? GramKernel::materialised : GramKernel::structured;
}

void add_gram_tile(GramKernel kernel, const Tap& a, IndexRange rows, const Tap& b, IndexRange cols, at::Tensor& tile) {
  if (kernel == GramKernel::materialised) {
    add_materialised_tile(a, rows, b, cols, tile);
  } else {
    add_structured_tile(a, rows, b, cols, tile);
  }
}

double structured_macs_per_pair(const Tap& tap) {
  if (!has_common_groups(tap)) return std::numeric_limits<double>::infinity();
  double macs = 0;
  for (const auto& u : tap.uses) {
    for (const auto& v : tap.uses) {
      const double each = static_cast<double>(u.groups) * (bracket_macs(u.in, v.in) + bracket_macs(u.out, v.out));
      for (std::int64_t t = 0; t < u.tokens; ++t) {
        for (std::int64_t s = 0; s < v.tokens; ++s) {
          macs += matching_share(u.in, t, v.in, s) * matching_share(u.out, t, v.out, s) * each;
        }
      }
    }
  }
  return macs;
}

double materialised_macs_per_pair(const Tap& tap) {
  double tokens = 0;
  for (const auto& use : tap.uses) tokens += static_cast<double>(use.tokens);
  return static_cast<double>(tap.size()) * (1 + 2 * tokens / static_cast<double>(kGramTile));
}

double gram_macs_per_pair(const Tap& tap) {
  return std::min(structured_macs_per_pair(tap), materialised_macs_per_pair(tap));
}

}  // namespace grokscope
