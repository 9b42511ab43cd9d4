#include "base/random.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "base/hash.hpp"

namespace grokscope {
namespace {

constexpr std::uint32_t kAbreast = 4;  // blocks that a processor of any age makes at once

/// The blocks of `width` counters that follow each other in their first word, into out[4 * width]. The inner loops are what
/// a compiler turns into vector instructions.
template <std::uint32_t width>
void philox_blocks(const std::array<std::uint32_t, 4>& first, std::array<std::uint32_t, 2> key, std::uint32_t* out) {
  std::uint32_t c[4][width];
  for (std::uint32_t i = 0; i < width; ++i) {
    c[0][i] = first[0] + i;
    for (std::size_t word = 1; word < 4; ++word) c[word][i] = first[word];
  }
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t i = 0; i < width; ++i) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0][i];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2][i];
      c[0][i] = static_cast<std::uint32_t>(p1 >> 32) ^ c[1][i] ^ key[0];
      c[2][i] = static_cast<std::uint32_t>(p0 >> 32) ^ c[3][i] ^ key[1];
      c[1][i] = static_cast<std::uint32_t>(p1);
      c[3][i] = static_cast<std::uint32_t>(p0);
    }
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  for (std::uint32_t i = 0; i < width; ++i) {
    for (std::uint32_t word = 0; word < 4; ++word) out[4 * i + word] = c[word][i];
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter, const std::array<std::uint32_t, 2>& key) {
  std::array<std::uint32_t, 4> block;
  philox_blocks<1>(counter, key, block.data());
  return block;
}

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
  block_ = philox(counter_, key_);
  ++counter_[0];
  used_ = 0;
}

std::uint32_t RandomStream::next_u32() {
  if (used_ == 4) refill();
  return block_[static_cast<std::size_t>(used_++)];
}

void RandomStream::fill(std::span<std::uint32_t> out) {
  std::size_t done = 0;
  while (done < out.size() && used_ < 4) out[done++] = next_u32();
  for (; out.size() - done >= 4 * kAbreast; done += 4 * kAbreast) {
    philox_blocks<kAbreast>(counter_, key_, &out[done]);
    counter_[0] += kAbreast;
  }
  while (done < out.size()) out[done++] = next_u32();
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
