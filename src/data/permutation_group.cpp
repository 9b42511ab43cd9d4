#include "data/permutation_group.hpp"

#include <algorithm>
#include <numeric>

namespace grokscope {
namespace {

/// Products and inverses as tables of numbers.
struct Group {
  std::int64_t size;
  std::vector<std::int64_t> products;  ///< [a size + b]
  std::vector<std::int64_t> inverses;

  std::int64_t product(std::int64_t a, std::int64_t b) const { return products[static_cast<std::size_t>(a * size + b)]; }
  std::int64_t inverse(std::int64_t a) const { return inverses[static_cast<std::size_t>(a)]; }
};

Group make_group(std::int64_t n) {
  const auto elements = permutations_of(n);
  Group group{static_cast<std::int64_t>(elements.size()), {}, std::vector<std::int64_t>(elements.size())};
  std::vector<std::int64_t> c(static_cast<std::size_t>(n));
  for (std::size_t a = 0; a < elements.size(); ++a) {
    for (std::size_t b = 0; b < elements.size(); ++b) {
      std::transform(elements[a].begin(), elements[a].end(), c.begin(),
                     [&](std::int64_t i) { return elements[b][static_cast<std::size_t>(i)]; });
      const auto number = std::lower_bound(elements.begin(), elements.end(), c) - elements.begin();
      group.products.push_back(number);
      if (number == 0) group.inverses[a] = static_cast<std::int64_t>(b);  // number 0 is the identity
    }
  }
  return group;
}

}  // namespace

std::vector<std::vector<std::int64_t>> permutations_of(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::vector<std::vector<std::int64_t>> all;
  do {
    all.push_back(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return all;
}

const std::vector<std::string>& permutation_operations() {
  static const std::vector<std::string> names{"conjugation", "product", "sandwich"};
  return names;
}

Dataset permutation_table(std::int64_t n, const std::string& operation) {
  require(n >= 1 && n <= 6, "the table of more than six objects would not fit");
  const auto group = make_group(n);
  std::vector<std::int64_t> inputs, targets;
  for (std::int64_t a = 0; a < group.size; ++a) {
    const auto last = operation == "conjugation" ? group.inverse(a) : a;
    for (std::int64_t b = 0; b < group.size; ++b) {
      const auto product = group.product(a, b);
      inputs.insert(inputs.end(), {a, b});
      targets.push_back(operation == "product" ? product : group.product(product, last));
    }
  }
  const auto rows = group.size * group.size;
  return {at::arange(rows, at::kLong), at::from_blob(inputs.data(), {rows, 2}, at::kLong).clone(),
          at::from_blob(targets.data(), {rows}, at::kLong).clone()};
}

}  // namespace grokscope
