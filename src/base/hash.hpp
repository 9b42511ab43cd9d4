// Are these bytes the same bytes? (XXH3, not cryptographic)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace grokscope {

std::uint64_t hash_bytes(const void* data, std::size_t size, std::uint64_t seed = 0);

/// The hash of bytes that come in pieces: that of hash_bytes() for all of them.
class HashStream {
 public:
  HashStream();
  void add(std::span<const std::byte> bytes);
  std::uint64_t value() const;

 private:
  std::unique_ptr<XXH3_state_s, void (*)(XXH3_state_s*)> state_;
};

inline std::uint64_t hash_text(std::string_view text) { return hash_bytes(text.data(), text.size()); }

/// Sixteen lower-case hexadecimal digits.
std::string hex(std::uint64_t value);

}  // namespace grokscope
