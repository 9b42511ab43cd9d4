#include "base/hash.hpp"

#include <fmt/format.h>
#include <xxhash.h>

namespace grokscope {

std::uint64_t hash_bytes(const void* data, std::size_t size, std::uint64_t seed) {
  return XXH3_64bits_withSeed(data, size, seed);
}

std::string hex(std::uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace grokscope
