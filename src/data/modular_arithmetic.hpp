// What are all the equations a op b = c (mod p)?
#pragma once

#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace grokscope {

bool is_prime(std::int64_t n);

/// Smallest primitive root of the prime `p`.
std::int64_t primitive_root(std::int64_t p);

/// Names that modular_table() knows.
const std::vector<std::string>& modular_operations();

/// Every ordered pair (a, b) of residues with its result, lexicographic: id = a p + b, inputs [p^2, 2] int64, targets
/// [p^2] int64. Operations: add, subtract, multiply, square_sum (a^2+b^2), square_sum_cross (a^2+ab+b^2),
/// square_sum_cross_linear (a^2+ab+b^2+a), cube_cross (a^3+ab), cube_square_cross (a^3+ab^2+b), divide (a/b, b != 0:
/// p(p-1) rows; p prime).
Dataset modular_table(std::int64_t p, const std::string& operation);

/// Every ordered tuple (n_1 .. n_S) of S residues with its sum, lexicographic: p^S rows, inputs [p^S, S] int64, id = row.
Dataset modular_sums(std::int64_t p, std::int64_t terms);

}  // namespace grokscope
