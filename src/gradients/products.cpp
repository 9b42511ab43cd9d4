#include "gradients/products.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "gradients/materialise.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kExampleChunk = 512;

using Kind = Factor::Kind;

/// One group of a factor in float64 on the CPU: [n, T, d] dense, [T, d] shared by all examples, or token ids [n or 1, T].
struct GroupFactor {
  Kind kind;
  at::Tensor values;

  GroupFactor(const Factor& factor, std::int64_t group, std::int64_t tokens) : kind(factor.kind) {
    switch (kind) {
      case Kind::dense: values = factor.values.select(1, group).to(at::kCPU, at::kDouble); break;
      case Kind::constant: values = factor.values[group].to(at::kCPU, at::kDouble); break;
      case Kind::one_hot: values = factor.index.to(at::kCPU); break;
      case Kind::one:
        kind = Kind::constant;
        values = at::ones({tokens, 1}, at::kDouble);
    }
  }
};

/// target[id, :] += rows for every example and token; `target` may be any strided matrix.
void scatter_rows(const at::Tensor& ids, const at::Tensor& rows, at::Tensor target) {
  const auto source = rows.contiguous();
  const auto n = source.size(0), tokens = source.size(1), d = source.size(2);
  const auto id = ids.expand({n, tokens}).contiguous();
  const auto* index = id.data_ptr<std::int64_t>();
  const double* from = source.data_ptr<double>();
  double* to = target.data_ptr<double>();
  const auto row_stride = target.stride(0), col_stride = target.stride(1);
  for (std::int64_t i = 0; i < n * tokens; ++i) {
    double* row = to + index[i] * row_stride;
    for (std::int64_t j = 0; j < d; ++j) row[j * col_stride] += from[i * d + j];
  }
}

/// target += sum_i v_i sum_t out_it in_it^T for one group; v [n].
void add_weighted(const GroupFactor& out, const GroupFactor& in, const at::Tensor& v, at::Tensor target) {
  if (in.kind == Kind::one_hot && out.kind != Kind::one_hot) return add_weighted(in, out, v, target.t());
  if (in.kind == Kind::constant && out.kind == Kind::dense) return add_weighted(in, out, v, target.t());
  const auto n = v.size(0);
  if (out.kind == Kind::one_hot) {
    require(in.kind != Kind::one_hot, "a parameter whose both factors are tokens has no gradient");
    const auto rows = in.kind == Kind::dense ? in.values : in.values.unsqueeze(0).expand({n, in.values.size(0), in.values.size(1)});
    scatter_rows(out.values, rows * v.view({n, 1, 1}), target);
  } else if (out.kind == Kind::constant && in.kind == Kind::constant) {
    target.addmm_(out.values.t(), in.values, 1, v.sum().item<double>());
  } else if (out.kind == Kind::constant) {
    const auto tokens = in.values.size(1), d = in.values.size(2);
    const auto summed = at::mm(v.unsqueeze(0), in.values.reshape({n, tokens * d})).view({tokens, d});
    target.addmm_(out.values.t(), summed);
  } else {
    const auto left = (out.values * v.view({n, 1, 1})).reshape({-1, out.values.size(2)});
    target.addmm_(left.t(), in.values.reshape({-1, in.values.size(2)}));
  }
}

/// sum_i v_i G_i for one parameter and every column v of `weights`: [size, k].
at::Tensor weighted_parameter(const Tap& tap, const at::Tensor& weights) {
  const auto k = weights.size(1);
  auto result = at::zeros({k, tap.rows, tap.width()}, at::kDouble);
  for (const auto& use : tap.uses) {
    for (std::int64_t g = 0; g < use.groups; ++g) {
      const GroupFactor out(use.out, g, use.tokens), in(use.in, g, use.tokens);
      for (std::int64_t c = 0; c < k; ++c) {
        add_weighted(out, in, weights.select(1, c), result[c].slice(0, g * use.out.dim, (g + 1) * use.out.dim));
      }
    }
  }
  return flatten_parameter(tap, result).t();
}

/// Multiplications of G_i U for one parameter and one example, k columns: by contracting factors, and with G_i made first.
struct ApplyCost {
  double contracted = 0;
  double materialised = 0;

  ApplyCost(const Tap& tap, std::int64_t k) : materialised(static_cast<double>(k * tap.size())) {
    for (const auto& use : tap.uses) {
      // A token looks up a row, which meets the other factor.
      const auto each = use.out.kind == Kind::one_hot  ? use.in.dim
                        : use.in.kind == Kind::one_hot ? use.out.dim
                                                       : use.groups * use.out.dim * use.in.dim;
      contracted += static_cast<double>(k * use.tokens * each);
      materialised += static_cast<double>(use.tokens * each);
    }
  }
};

/// [n, T, d] of one group, tokens excepted; what all examples share is expanded.
at::Tensor expanded(const GroupFactor& factor, std::int64_t n) {
  if (factor.kind == Kind::dense) return factor.values;
  return factor.values.unsqueeze(0).expand({n, factor.values.size(0), factor.values.size(1)});
}

/// target [n, k] += sum_t out_it^T M in_it for one group and the matrices M, [d_out, d_in, k].
void add_contracted(const GroupFactor& out, const GroupFactor& in, const at::Tensor& m, at::Tensor target) {
  if (in.kind == Kind::one_hot && out.kind != Kind::one_hot) return add_contracted(in, out, m.transpose(0, 1), target);
  require(in.kind != Kind::one_hot, "a parameter whose both factors are tokens has no gradient");
  const auto n = target.size(0), k = target.size(1);
  const auto right = expanded(in, n);
  const auto tokens = right.size(1);
  if (out.kind == Kind::one_hot) {
    const auto ids = out.values.expand({n, tokens}).reshape({-1});
    const auto rows = m.index_select(0, ids).view({n, tokens, m.size(1), k});
    target += (rows * right.unsqueeze(3)).sum(at::IntArrayRef{1, 2});
    return;
  }
  const auto left = expanded(out, n).reshape({n * tokens, m.size(0)});
  for (std::int64_t c = 0; c < k; ++c) {
    target.select(1, c) += (at::mm(left, m.select(2, c)).view({n, tokens, m.size(1)}) * right).sum(at::IntArrayRef{1, 2});
  }
}

/// target [n, k] += G U for one parameter; u [size, k].
void add_applied(const Tap& tap, const at::Tensor& u, at::Tensor target) {
  const auto n = target.size(0);
  const ApplyCost cost(tap, u.size(1));
  if (cost.contracted > cost.materialised) {
    const auto step = examples_at_once(tap.size());
    for (std::int64_t begin = 0; begin < n; begin += step) {
      const auto end = std::min(begin + step, n);
      target.slice(0, begin, end).addmm_(materialise(slice_rows(tap, {begin, end}), end - begin), u);
    }
    return;
  }
  const auto matrices = unflatten_parameter(tap, u);
  for (const auto& use : tap.uses) {
    for (std::int64_t g = 0; g < use.groups; ++g) {
      const GroupFactor out(use.out, g, use.tokens), in(use.in, g, use.tokens);
      add_contracted(out, in, matrices.slice(0, g * use.out.dim, (g + 1) * use.out.dim), target);
    }
  }
}

at::Tensor gather_rows(const Communicator& comm, const at::Tensor& mine, std::int64_t total) {
  const auto host = mine.contiguous();
  const auto all = comm.all_gather_uneven<double>({host.data_ptr<double>(), static_cast<std::size_t>(host.numel())});
  auto result = at::empty({total, mine.size(1)}, at::kDouble);
  std::copy(all.begin(), all.end(), result.data_ptr<double>());
  return result;
}

/// Calls visit(columns) for parts of `k` columns of `length` that hold as many numbers as `numbers` at most, or one column.
template <class Visit>
void for_each_block(std::int64_t k, std::int64_t length, std::int64_t numbers, Visit visit) {
  const auto at_once = std::max<std::int64_t>(1, numbers / std::max<std::int64_t>(1, length));
  for (std::int64_t begin = 0; begin < k; begin += at_once) visit(IndexRange{begin, std::min(begin + at_once, k)});
}

}  // namespace

at::Tensor weighted_sum(const GradientMatrix& g, const at::Tensor& weights, std::int64_t numbers) {
  require(weights.dim() == 2 && weights.size(0) == g.rows(), "weights must be [N, k]");
  const auto mine = weights.slice(0, g.my_rows().begin, g.my_rows().end);
  auto result = at::empty({even_share(g.cols(), g.comm().size(), g.comm().rank()).size(), weights.size(1)}, at::kDouble);
  for_each_block(weights.size(1), g.cols(), numbers, [&](IndexRange columns) {
    const auto some = mine.slice(1, columns.begin, columns.end);
    auto whole = at::empty({columns.size(), g.cols()}, at::kDouble);
    for (const auto& tap : g.mine().taps) {
      whole.slice(1, tap.offset, tap.offset + tap.size()).copy_(weighted_parameter(tap, some).t());
    }
    for (std::int64_t c = 0; c < columns.size(); ++c) {
      const auto sum = g.comm().sum_and_scatter<double>({whole[c].data_ptr<double>(), static_cast<std::size_t>(g.cols())});
      result.select(1, columns.begin + c).copy_(at::from_blob(const_cast<double*>(sum.data()), {result.size(0)}, at::kDouble));
    }
  });
  return result;
}

at::Tensor apply(const GradientMatrix& g, const at::Tensor& vectors, std::int64_t numbers) {
  const auto n = g.mine().n;
  auto mine = at::zeros({n, vectors.size(1)}, at::kDouble);
  for_each_block(vectors.size(1), g.cols(), numbers, [&](IndexRange columns) {
    const auto u = gather_rows(g.comm(), vectors.slice(1, columns.begin, columns.end), g.cols());
    for (std::int64_t begin = 0; begin < n; begin += kExampleChunk) {
      const auto end = std::min(begin + kExampleChunk, n);
      const auto part = slice_rows(g.mine(), {begin, end});
      const auto rows = mine.slice(0, begin, end).slice(1, columns.begin, columns.end);
      for (const auto& tap : part.taps) add_applied(tap, u.slice(0, tap.offset, tap.offset + tap.size()), rows);
    }
  });
  return gather_rows(g.comm(), mine, g.rows());
}

at::Tensor inner_products(const Communicator& comm, const at::Tensor& a, const at::Tensor& b) {
  auto product = at::mm(a.t(), b).contiguous();
  comm.sum_in_rank_order({product.data_ptr<double>(), static_cast<std::size_t>(product.numel())});
  return product;
}

}  // namespace grokscope
