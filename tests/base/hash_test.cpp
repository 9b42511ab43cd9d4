// A hash of pieces is that of the whole, and of no other bytes.
#include "base/hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace grokscope {
namespace {

TEST(HashStream, DoesNotDependOnThePieces) {
  std::vector<std::byte> bytes(100'003);
  for (std::size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<std::byte>(k * k >> 3);
  const auto whole = hash_bytes(bytes.data(), bytes.size());
  for (const std::size_t piece : {1UL, 63UL, 1024UL, 65'536UL, 200'000UL}) {
    HashStream stream;
    for (std::size_t begin = 0; begin < bytes.size(); begin += piece) {
      stream.add(std::span(bytes).subspan(begin, std::min(piece, bytes.size() - begin)));
    }
    EXPECT_EQ(stream.value(), whole) << piece;
  }
  EXPECT_EQ(HashStream().value(), hash_bytes(nullptr, 0));
  bytes[70'000] ^= std::byte{1};
  EXPECT_NE(hash_bytes(bytes.data(), bytes.size()), whole);
}

TEST(Hash, IsXxh3) {
  EXPECT_EQ(hex(hash_text("")), "2d06800538d394c2");  // published by xxHash
}

}  // namespace
}  // namespace grokscope
