#include "data/modular_arithmetic.hpp"

#include <fmt/format.h>

#include <map>

namespace grokscope {
namespace {

std::int64_t power_mod(std::int64_t base, std::int64_t exponent, std::int64_t p) {
  std::int64_t result = 1 % p;
  for (base %= p; exponent > 0; exponent /= 2, base = base * base % p) {
    if (exponent % 2 == 1) result = result * base % p;
  }
  return result;
}

using Operation = std::int64_t (*)(std::int64_t a, std::int64_t b, std::int64_t p);

const std::map<std::string, Operation>& operation_table() {
  static const std::map<std::string, Operation> table{
      {"add", [](std::int64_t a, std::int64_t b, std::int64_t p) { return (a + b) % p; }},
      {"subtract", [](std::int64_t a, std::int64_t b, std::int64_t p) { return (a - b + p) % p; }},
      {"multiply", [](std::int64_t a, std::int64_t b, std::int64_t p) { return a * b % p; }},
      {"square_sum", [](std::int64_t a, std::int64_t b, std::int64_t p) { return (a * a + b * b) % p; }},
      {"square_sum_cross", [](std::int64_t a, std::int64_t b, std::int64_t p) { return (a * a + a * b + b * b) % p; }},
      {"square_sum_cross_linear",
       [](std::int64_t a, std::int64_t b, std::int64_t p) { return (a * a + a * b + b * b + a) % p; }},
      {"cube_cross", [](std::int64_t a, std::int64_t b, std::int64_t p) { return (a * a % p * a + a * b) % p; }},
      {"cube_square_cross",
       [](std::int64_t a, std::int64_t b, std::int64_t p) { return (a * a % p * a + b * b % p * a + b) % p; }},
      {"divide", [](std::int64_t a, std::int64_t b, std::int64_t p) { return a * power_mod(b, p - 2, p) % p; }},
  };
  return table;
}

}  // namespace

bool is_prime(std::int64_t n) {
  if (n < 2) return false;
  for (std::int64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return true;
}

std::int64_t primitive_root(std::int64_t p) {
  require(is_prime(p), "primitive_root needs a prime");
  for (std::int64_t g = 1; g < p; ++g) {
    std::int64_t order = 1;
    for (std::int64_t x = g % p; x != 1 % p; x = x * g % p) ++order;
    if (order == p - 1) return g;
  }
  return 1;
}

const std::vector<std::string>& modular_operations() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result;
    for (const auto& [name, operation] : operation_table()) result.push_back(name);
    return result;
  }();
  return names;
}

Dataset modular_table(std::int64_t p, const std::string& operation) {
  const auto apply = operation_table().at(operation);
  std::vector<std::int64_t> ids, inputs, targets;
  for (std::int64_t a = 0; a < p; ++a) {
    for (std::int64_t b = operation == "divide" ? 1 : 0; b < p; ++b) {
      ids.push_back(a * p + b);
      inputs.insert(inputs.end(), {a, b});
      targets.push_back(apply(a, b, p));
    }
  }
  const auto n = static_cast<std::int64_t>(ids.size());
  const auto tensor = [](std::vector<std::int64_t>& values, std::vector<std::int64_t> shape) {
    return at::from_blob(values.data(), shape, at::kLong).clone();
  };
  return {tensor(ids, {n}), tensor(inputs, {n, 2}), tensor(targets, {n})};
}

Dataset modular_sums(std::int64_t p, std::int64_t terms) {
  std::int64_t n = 1;
  for (std::int64_t s = 0; s < terms; ++s) n *= p;
  const auto ids = at::arange(n, at::kLong);
  std::vector<at::Tensor> columns;
  for (std::int64_t s = 0, weight = n / p; s < terms; ++s, weight /= p) {
    columns.push_back(at::remainder(at::div(ids, weight, "floor"), p));
  }
  const auto inputs = at::stack(columns, 1);
  return {ids, inputs, at::remainder(inputs.sum(1), p)};
}

}  // namespace grokscope
