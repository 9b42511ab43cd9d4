#include "experiments/01_power_grok/equations.hpp"

#include <algorithm>

#include "data/modular_arithmetic.hpp"
#include "data/permutation_group.hpp"
#include "data/table_split.hpp"

namespace grokscope::power {
namespace {

const std::string kGroup = "s5_";

}  // namespace

const std::vector<std::string>& operations() {
  static const std::vector<std::string> names = [] {
    auto result = modular_operations();
    for (const auto& name : permutation_operations()) result.push_back(kGroup + name);
    require(result.size() <= kOperators, "more operations than operator tokens");
    return result;
  }();
  return names;
}

bool is_permutation_operation(const std::string& operation) { return operation.starts_with(kGroup); }

std::int64_t operator_token(const std::string& operation) {
  const auto found = std::find(operations().begin(), operations().end(), operation);
  require(found != operations().end(), "unknown operation");
  return kFirstOperator + (found - operations().begin());
}

std::int64_t vocabulary(std::int64_t p) { return kFirstResidue + p + kPermutations; }

std::int64_t equation_count(std::int64_t p, const std::string& operation) {
  return is_permutation_operation(operation) ? kPermutations * kPermutations : modular_table_size(p, operation);
}

Dataset equations(std::int64_t p, const std::string& operation) {
  const bool permutes = is_permutation_operation(operation);
  const auto table = permutes ? permutation_table(5, operation.substr(kGroup.size())) : modular_table(p, operation);
  const auto first = permutes ? kFirstResidue + p : kFirstResidue;
  const auto constant = [&](std::int64_t token) { return at::full({table.size()}, token, at::kLong); };
  const auto a = table.inputs.select(1, 0) + first, b = table.inputs.select(1, 1) + first, c = table.targets + first;
  return {table.ids, at::stack({constant(kEnd), a, constant(operator_token(operation)), b, constant(kEquals), c}, 1),
          at::stack({c, constant(kEnd)}, 1)};
}

}  // namespace grokscope::power
