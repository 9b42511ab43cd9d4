#include "nn/tape.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace grokscope {

Factor Factor::dense(const at::Tensor& values, std::int64_t groups, std::int64_t tokens) {
  std::int64_t d = 1;  // from the shape, not from the number of elements: a rank may hold no example
  for (std::int64_t k = 1; k < values.dim(); ++k) d *= values.size(k);
  d /= groups * tokens;
  return {Kind::dense, values.detach().reshape({values.size(0), groups, tokens, d}), {}, d};
}

Factor Factor::constant(const at::Tensor& values, std::int64_t groups, std::int64_t tokens) {
  const auto d = values.numel() / (groups * tokens);
  return {Kind::constant, values.detach().reshape({groups, tokens, d}), {}, d};
}

Factor Factor::one_hot(const at::Tensor& index, std::int64_t dim) {
  require(index.dim() == 2 && index.scalar_type() == at::kLong, "one-hot index must be [n, T] int64");
  return {Kind::one_hot, {}, index, dim};
}

Factor Factor::shared_one_hot(const at::Tensor& index, std::int64_t dim) {
  auto factor = one_hot(index, dim);
  factor.shared_index = true;
  return factor;
}

at::Tensor Factor::per_example() const {
  if (kind == Kind::dense) return values;
  if (kind == Kind::one_hot && !shared_index) return index;
  return {};
}

std::int64_t Taps::bytes() const {
  std::int64_t total = 0;
  for (const auto& tap : taps) {
    for (const auto& use : tap.uses) {
      for (const auto* factor : {&use.out, &use.in}) {
        if (factor->values.defined()) total += static_cast<std::int64_t>(factor->values.nbytes());
        if (factor->index.defined()) total += static_cast<std::int64_t>(factor->index.nbytes());
      }
    }
  }
  return total;
}

std::size_t Tape::observe(const at::Tensor& tensor) {
  for (std::size_t i = 0; i < observed_.size(); ++i) {
    if (observed_[i].is_same(tensor)) return i;
  }
  observed_.push_back(tensor);
  return observed_.size() - 1;
}

void Tape::record(const Parameter& weight, const Parameter* bias, std::function<Use(const Gradients&)> make) {
  if (!active_) return;
  require(bias == nullptr || bias->offset == weight.offset + weight.size(), "a bias must follow its weight");
  entries_.push_back({&weight, bias != nullptr, std::move(make)});
}

void Tape::record_linear(const Parameter& weight, const Parameter* bias, const at::Tensor& x, const at::Tensor& y) {
  if (!active_) return;
  record(weight, bias, [slot = observe(y), input = x.detach(), has_bias = bias != nullptr](const Gradients& b) {
    const auto tokens = input.dim() == 3 ? input.size(1) : 1;
    const auto in = has_bias ? at::cat({input, at::ones_like(input.slice(-1, 0, 1))}, -1) : input;
    return Use{Factor::dense(b[slot], 1, tokens), Factor::dense(in, 1, tokens), 1, tokens};
  });
}

Taps Tape::build(std::int64_t n, const Gradients& gradients) const {
  Taps result{n, {}};
  for (const auto& entry : entries_) {
    auto use = entry.make(gradients);
    const auto& p = *entry.parameter;
    require(use.groups * use.out.dim == p.rows() && use.in.dim == p.cols() + (entry.has_bias ? 1 : 0),
            "factor widths do not match the parameter");
    const auto same = std::find_if(result.taps.begin(), result.taps.end(),
                                   [&](const Tap& tap) { return tap.offset == p.offset; });
    if (same != result.taps.end()) {
      same->uses.push_back(std::move(use));
    } else {
      result.taps.push_back({p.name, p.layer, p.offset, p.rows(), p.cols(), entry.has_bias, {std::move(use)}, true});
    }
  }
  std::sort(result.taps.begin(), result.taps.end(), [](const Tap& a, const Tap& b) { return a.offset < b.offset; });
  return result;
}

}  // namespace grokscope
