// Is there a table of all equations modulo p, how many rows has it, and do enough of them train and test? (data.p, data.train_fraction)
// For the papers that split such a table at random. Called before anything is built, so that a mistake is told with its place.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "base/schema.hpp"
#include "data/modular_arithmetic.hpp"

namespace grokscope {

/// Rows of modular_table().
inline std::int64_t modular_table_size(std::int64_t p, const std::string& operation) {
  return operation == "divide" ? p * (p - 1) : p * p;
}

/// Rows that train: a share of n, rounded down.
inline std::int64_t share_of_table(double fraction, std::int64_t n) {
  return static_cast<std::int64_t>(fraction * static_cast<double>(n));
}

/// Reports a modulus for whose tuples of `terms` residues there is no memory; false then.
inline bool check_table_size(std::int64_t p, std::int64_t terms, Problems& problems) {
  constexpr double kLargest = 2e7;
  if (std::pow(static_cast<double>(p), static_cast<double>(terms)) <= kLargest) return true;
  const auto largest = static_cast<std::int64_t>(std::pow(kLargest, 1 / static_cast<double>(terms)));
  problems.add("data.p", fmt::format("{}^{} tuples", p, terms), "the table of all of them is kept in memory",
               fmt::format("use at most {}{}", largest, terms > 2 ? ", or fewer data.terms" : ""));
  return false;
}

/// Reports a modulus that is no prime, `why` it has to be one, and one that is.
inline void check_prime(std::int64_t p, const char* why, std::int64_t example, Problems& problems) {
  if (is_prime(p)) return;
  problems.add("data.p", fmt::format("{} is not a prime", p), why, fmt::format("use a prime such as {}", example));
}

/// Reports a data.train_fraction of which `train` of n rows would train and the others test, where one of the two is empty.
inline void check_split(double fraction, std::int64_t train, std::int64_t n, Problems& problems) {
  if (train > 0 && train < n) return;
  problems.add("data.train_fraction", fmt::format("{} of {} rows leaves none to {}", fraction, n, train > 0 ? "test" : "train on"),
               "a split would be empty", train > 0 ? "use a smaller share" : "use a larger share");
}

}  // namespace grokscope
