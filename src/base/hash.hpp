// Are these bytes the same bytes? (XXH3, not cryptographic)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace grokscope {

std::uint64_t hash_bytes(const void* data, std::size_t size, std::uint64_t seed = 0);

inline std::uint64_t hash_text(std::string_view text) { return hash_bytes(text.data(), text.size()); }

/// Sixteen lower-case hexadecimal digits.
std::string hex(std::uint64_t value);

}  // namespace grokscope
