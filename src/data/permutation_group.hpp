// What is a b, a b a^-1 or a b a for permutations a and b of n objects?
#pragma once

#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace grokscope {

/// All n! orders of 0..n-1, lexicographic: number k of the group is row k.
std::vector<std::vector<std::int64_t>> permutations_of(std::int64_t n);

/// Names that permutation_table() knows.
const std::vector<std::string>& permutation_operations();

/// Every ordered pair (a, b) of the n! permutations with its result, lexicographic: id = a n! + b, inputs [n!^2, 2] int64,
/// targets [n!^2] int64, all as numbers of the group. Operations, where x y applies x first, (x y)_i = y_{x_i}: product
/// (a b), conjugation (a b a^-1), sandwich (a b a). `n` is 1 to 6.
Dataset permutation_table(std::int64_t n, const std::string& operation);

}  // namespace grokscope
