#include "base/random.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "base/hash.hpp"

namespace grokscope {

RandomStream::RandomStream(std::uint64_t seed, std::string_view stream, std::uint64_t step, std::uint64_t id) {
  // 64 bits of key from seed and purpose, 96 bits of counter from step and id, 32 bits left to count within.
  const std::uint64_t key = hash_bytes(stream.data(), stream.size(), seed);
  key_[0] = static_cast<std::uint32_t>(key);
  key_[1] = static_cast<std::uint32_t>(key >> 32);
  counter_[0] = 0;
  counter_[1] = static_cast<std::uint32_t>(step);
  counter_[2] = static_cast<std::uint32_t>(step >> 32) ^ static_cast<std::uint32_t>((id >> 32) * 0x9E3779B9u);
  counter_[3] = static_cast<std::uint32_t>(id);
}

void RandomStream::refill() {
  std::uint32_t c[4] = {counter_[0], counter_[1], counter_[2], counter_[3]};
  std::uint32_t k[2] = {key_[0], key_[1]};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
    const std::uint32_t next[4] = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
                                   static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
    for (int i = 0; i < 4; ++i) c[i] = next[i];
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  for (int i = 0; i < 4; ++i) block_[i] = c[i];
  ++counter_[0];
  used_ = 0;
}

std::uint32_t RandomStream::next_u32() {
  if (used_ == 4) refill();
  return block_[used_++];
}

double RandomStream::uniform() {
  const std::uint64_t high = next_u32() >> 5;
  const std::uint64_t low = next_u32() >> 6;
  return static_cast<double>(high * 67108864 + low) * 0x1p-53;
}

std::uint64_t RandomStream::below(std::uint64_t bound) {
  const std::uint64_t limit = bound * (UINT64_MAX / bound);
  while (true) {
    const std::uint64_t high = next_u32();
    const std::uint64_t value = high << 32 | next_u32();
    if (value < limit) return value % bound;
  }
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<std::int64_t> random_permutation(std::int64_t n, RandomStream stream) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::swap(order[static_cast<std::size_t>(i)], order[stream.below(static_cast<std::uint64_t>(i) + 1)]);
  }
  return order;
}

}  // namespace grokscope
