#include "base/hash.hpp"

#include <fmt/format.h>
#include <xxhash.h>

namespace grokscope {

std::uint64_t hash_bytes(const void* data, std::size_t size, std::uint64_t seed) {
  return XXH3_64bits_withSeed(data, size, seed);
}

HashStream::HashStream() : state_(XXH3_createState(), [](XXH3_state_s* state) { XXH3_freeState(state); }) {
  XXH3_64bits_reset(state_.get());
}

void HashStream::add(std::span<const std::byte> bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }

std::uint64_t HashStream::value() const { return XXH3_64bits_digest(state_.get()); }

std::string hex(std::uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace grokscope
