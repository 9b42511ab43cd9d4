// How is an equation a op b = c written as tokens?
// The vocabulary of Power et al. 2022: two special tokens, 20 operators, the residues mod p, the 120 permutations of five
// objects: 239 tokens for p = 97, whatever the operation.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace grokscope::power {

inline constexpr std::int64_t kEnd = 0;       ///< <eos>, before and behind an equation
inline constexpr std::int64_t kEquals = 1;
inline constexpr std::int64_t kOperators = 20;
inline constexpr std::int64_t kFirstOperator = 2;
inline constexpr std::int64_t kFirstResidue = kFirstOperator + kOperators;
inline constexpr std::int64_t kPermutations = 120;

/// Modular operations, and s5_product, s5_conjugation, s5_sandwich of permutations; at most kOperators.
const std::vector<std::string>& operations();
bool is_permutation_operation(const std::string& operation);

/// The operator's token.
std::int64_t operator_token(const std::string& operation);
std::int64_t vocabulary(std::int64_t p);

/// How many equations an operation has.
std::int64_t equation_count(std::int64_t p, const std::string& operation);

/// All equations of an operation: inputs [n, 6] = <eos> a op b = c, targets [n, 2] = c <eos>, what follows the last two
/// inputs. Ids number the pairs (a, b).
Dataset equations(std::int64_t p, const std::string& operation);

}  // namespace grokscope::power
