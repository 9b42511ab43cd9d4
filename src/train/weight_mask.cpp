#include "train/weight_mask.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.hpp"
#include "base/text.hpp"
#include "data/dataset.hpp"

namespace grokscope {
namespace {

/// floor((1 - keep) n); 1 - 0.9 is a hair below a tenth in floating point, and a tenth is meant.
std::int64_t dropped_count(double keep, std::int64_t n) {
  return static_cast<std::int64_t>(std::floor((1 - keep) * static_cast<double>(n) + 1e-6));
}

/// Positions of the chosen parameters in the set.
std::vector<std::size_t> chosen_parameters(const MaskOptions& options, const ParameterSet& parameters) {
  std::vector<std::size_t> chosen;
  std::vector<std::string> names;
  for (std::size_t k = 0; k < parameters.all().size(); ++k) {
    names.push_back(parameters[k].name);
    const auto& wanted = options.parameters.names;
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), names.back()) != wanted.end())
      chosen.push_back(k);
  }
  for (const auto& name : options.parameters.names) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    throw UserError(fmt::format(
        "training.init_from.mask.parameters: the model has no parameter '{}' (it has {}), name one "
        "of these",
        name, join(names, ", ")));
  }
  return chosen;
}

using Kept = std::vector<std::uint8_t>;

/// Keeps all but the `dropped` smallest.
Kept keep_largest(const std::vector<double>& sizes, std::int64_t dropped) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto smaller = [&](std::size_t a, std::size_t b) {
    return std::pair(sizes[a], a) < std::pair(sizes[b], b);
  };
  std::nth_element(order.begin(), order.begin() + dropped, order.end(), smaller);
  Kept kept(sizes.size(), 1);
  for (std::int64_t i = 0; i < dropped; ++i) kept[order[static_cast<std::size_t>(i)]] = 0;
  return kept;
}

Kept keep_at_random(std::int64_t n, std::int64_t dropped, RandomStream stream) {
  const auto order = random_permutation(n, stream);
  Kept kept(static_cast<std::size_t>(n), 1);
  for (std::int64_t i = 0; i < dropped; ++i)
    kept[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = 0;
  return kept;
}

std::vector<double> sizes_of(const Parameter& parameter, std::span<const NamedArray> magnitudes) {
  const auto values =
      to_tensor(find_array(magnitudes, "parameters/" + parameter.name)).to(at::kDouble).abs().contiguous();
  require(values.numel() == parameter.size(), "a magnitude array of another size than its parameter");
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

/// Cuts what was decided for all parameters together into one piece for each.
std::vector<Kept> cut(const Kept& together, const std::vector<std::vector<double>>& sizes) {
  std::vector<Kept> pieces;
  auto begin = together.begin();
  for (const auto& part : sizes) {
    pieces.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(part.size()));
    begin += static_cast<std::ptrdiff_t>(part.size());
  }
  return pieces;
}

std::vector<Kept> magnitude_mask(double keep, const std::string& scope,
                                 const std::vector<std::vector<double>>& sizes) {
  std::vector<Kept> pieces;
  std::vector<double> all;
  for (const auto& part : sizes) {
    all.insert(all.end(), part.begin(), part.end());
    pieces.push_back(keep_largest(part, dropped_count(keep, static_cast<std::int64_t>(part.size()))));
  }
  if (scope == "parameter") return pieces;
  return cut(keep_largest(all, dropped_count(keep, static_cast<std::int64_t>(all.size()))), sizes);
}

std::vector<Kept> random_mask(double keep, const std::string& scope,
                              const std::vector<std::vector<double>>& sizes, std::uint64_t seed) {
  if (scope == "global") {
    std::int64_t total = 0;
    for (const auto& part : sizes) total += static_cast<std::int64_t>(part.size());
    return cut(keep_at_random(total, dropped_count(keep, total), RandomStream(seed, "mask")), sizes);
  }
  auto pieces = magnitude_mask(keep, "global", sizes);
  for (std::size_t k = 0; k < pieces.size(); ++k) {
    const auto dropped = std::count(pieces[k].begin(), pieces[k].end(), std::uint8_t{0});
    pieces[k] = keep_at_random(static_cast<std::int64_t>(pieces[k].size()), dropped,
                               RandomStream(seed, "mask", 0, k + 1));
  }
  return pieces;
}

double norm_of(const at::Tensor& values, const std::string& kind) {
  const auto v = values.detach().to(at::kDouble);
  return (kind == "l1" ? v.abs().sum() : v.square().sum()).item<double>();
}

}  // namespace

std::vector<at::Tensor> make_mask(const MaskOptions& options, const ParameterSet& parameters,
                                  std::span<const NamedArray> magnitudes, std::uint64_t seed) {
  const auto chosen = chosen_parameters(options, parameters);
  std::vector<std::vector<double>> sizes;
  for (const auto k : chosen) sizes.push_back(sizes_of(parameters[k], magnitudes));
  const auto pieces = options.kind == "magnitude" ? magnitude_mask(options.keep, options.scope, sizes)
                                                  : random_mask(options.keep, options.scope, sizes, seed);
  std::vector<at::Tensor> mask;
  for (const auto& p : parameters.all()) mask.push_back(at::ones(p.value.sizes(), at::kByte));
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    std::copy(pieces[i].begin(), pieces[i].end(), mask[chosen[i]].data_ptr<std::uint8_t>());
  }
  return mask;
}

void apply_mask(std::span<const at::Tensor> mask, const ParameterSet& parameters) {
  at::NoGradGuard no_grad;
  for (std::size_t k = 0; k < mask.size(); ++k) {
    auto value = parameters[k].value;
    value.masked_fill_(mask[k].to(value.device()).eq(0), 0);
  }
}

void match_norm(const MaskOptions& options, std::span<const at::Tensor> mask,
                const ParameterSet& parameters) {
  at::NoGradGuard no_grad;
  const auto chosen = chosen_parameters(options, parameters);
  const auto& kind = options.match_norm;
  const auto root = [&](double sum) { return kind == "l1" ? sum : std::sqrt(sum); };
  std::vector<double> whole, masked;
  for (const auto k : chosen) {
    const auto& value = parameters[k].value;
    whole.push_back(norm_of(value, kind));
    masked.push_back(norm_of(value * mask[k].to(value.device()), kind));
  }
  const double together = root(std::accumulate(masked.begin(), masked.end(), 0.0)) /
                          root(std::accumulate(whole.begin(), whole.end(), 0.0));
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (whole[i] == 0) continue;  // zero stays zero, and has no ratio
    auto value = parameters[chosen[i]].value;
    value.mul_(options.scope == "global" ? together : root(masked[i]) / root(whole[i]));
  }
}

}  // namespace grokscope
