#include "gradients/products.hpp"

#include "gradients/factor_gram.hpp"
#include "gradients/panel.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kExampleChunk = 512;

/// Both factors of one group as matrices [n T, d], or nothing when one of them is a one-hot table.
bool dense_pair(const Use& use) {
  const auto usable = [](const Factor& f) { return f.kind == Factor::Kind::dense || f.kind == Factor::Kind::one; };
  return usable(use.out) && usable(use.in) && use.out.kind == Factor::Kind::dense;
}

at::Tensor group_matrix(const Factor& factor, std::int64_t n, std::int64_t group, std::int64_t tokens) {
  if (factor.kind == Factor::Kind::one) return at::ones({n * tokens, 1}, at::kDouble);
  return factor.values.select(1, group).to(at::kCPU, at::kDouble).reshape({n * tokens, factor.dim});
}

/// sum_i v_i G_i for one parameter and every column v of `weights`: [size, k].
at::Tensor weighted_parameter(const Tap& tap, std::int64_t n, const at::Tensor& weights) {
  const auto k = weights.size(1);
  bool all_dense = true;
  for (const auto& use : tap.uses) all_dense = all_dense && dense_pair(use);
  if (!all_dense) {
    auto total = at::zeros({tap.size(), k}, at::kDouble);
    for (std::int64_t begin = 0; begin < n; begin += kExampleChunk) {
      const auto end = std::min(begin + kExampleChunk, n);
      const auto part = slice_rows(Taps{n, {tap}}, {begin, end});
      total.addmm_(materialise(part.taps.front(), end - begin).t(), weights.slice(0, begin, end));
    }
    return total;
  }
  auto result = at::zeros({k, tap.rows, tap.width()}, at::kDouble);
  for (const auto& use : tap.uses) {
    for (std::int64_t g = 0; g < use.groups; ++g) {
      const auto out = group_matrix(use.out, n, g, use.tokens), in = group_matrix(use.in, n, g, use.tokens);
      for (std::int64_t c = 0; c < k; ++c) {
        const auto v = weights.select(1, c).unsqueeze(1).expand({n, use.tokens}).reshape({n * use.tokens, 1});
        result[c].slice(0, g * use.out.dim, (g + 1) * use.out.dim) += at::mm((out * v).t(), in);
      }
    }
  }
  return flatten_parameter(tap, result).t();
}

at::Tensor gather_rows(const Communicator& comm, const at::Tensor& mine, std::int64_t total) {
  const auto host = mine.contiguous();
  const auto all = comm.all_gather_uneven<double>({host.data_ptr<double>(), static_cast<std::size_t>(host.numel())});
  auto result = at::empty({total, mine.size(1)}, at::kDouble);
  std::copy(all.begin(), all.end(), result.data_ptr<double>());
  return result;
}

}  // namespace

at::Tensor weighted_sum(const GradientMatrix& g, const at::Tensor& weights) {
  require(weights.dim() == 2 && weights.size(0) == g.rows(), "weights must be [N, k]");
  const auto k = weights.size(1);
  const auto mine = weights.slice(0, g.my_rows().begin, g.my_rows().end);
  const auto share = even_share(g.cols(), g.comm().size(), g.comm().rank());
  auto result = at::empty({share.size(), k}, at::kDouble);
  auto whole = at::zeros({g.cols(), k}, at::kDouble);
  for (const auto& tap : g.mine().taps) {
    whole.slice(0, tap.offset, tap.offset + tap.size()) += weighted_parameter(tap, g.mine().n, mine);
  }
  for (std::int64_t c = 0; c < k; ++c) {
    const auto column = whole.select(1, c).contiguous();
    const auto sum = g.comm().sum_and_scatter<double>({column.data_ptr<double>(), static_cast<std::size_t>(g.cols())});
    result.select(1, c).copy_(at::from_blob(const_cast<double*>(sum.data()), {share.size()}, at::kDouble));
  }
  return result;
}

at::Tensor apply(const GradientMatrix& g, const at::Tensor& vectors) {
  const auto u = gather_rows(g.comm(), vectors, g.cols());
  const auto n = g.mine().n;
  auto mine = at::zeros({n, u.size(1)}, at::kDouble);
  for (std::int64_t begin = 0; begin < n; begin += kExampleChunk) {
    const auto end = std::min(begin + kExampleChunk, n);
    const auto part = slice_rows(g.mine(), {begin, end});
    auto rows = mine.slice(0, begin, end);
    for (const auto& tap : part.taps) {
      rows.addmm_(materialise(tap, end - begin), u.slice(0, tap.offset, tap.offset + tap.size()));
    }
  }
  return gather_rows(g.comm(), mine, g.rows());
}

at::Tensor inner_products(const Communicator& comm, const at::Tensor& a, const at::Tensor& b) {
  auto product = at::mm(a.t(), b).contiguous();
  comm.sum_in_rank_order({product.data_ptr<double>(), static_cast<std::size_t>(product.numel())});
  return product;
}

}  // namespace grokscope
