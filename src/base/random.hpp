// What is the k-th random number of a named stream?
// Counter-based (Philox4x32-10, Salmon et al. 2011): a number depends only on (seed, stream, step, id, k), never on who
// asks or in which order, so that data, masks and permutations are the same for every rank count.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace grokscope {

/// The four numbers of Philox4x32-10 for a counter and a key.
std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter, const std::array<std::uint32_t, 2>& key);

class RandomStream {
 public:
  /// `stream` names the purpose ("split", "init/mlp.W_in", "order"); `step` and `id` select one of its substreams.
  RandomStream(std::uint64_t seed, std::string_view stream, std::uint64_t step = 0, std::uint64_t id = 0);

  std::uint32_t next_u32();
  /// The next numbers, as next_u32() gives them one by one, made several at once.
  void fill(std::span<std::uint32_t> out);
  /// Uniform in [0, 1) with 53 random bits.
  double uniform();
  /// Uniform integer in [0, bound), unbiased.
  std::uint64_t below(std::uint64_t bound);
  /// Standard normal (Box-Muller; two uniforms a number, so that the k-th normal has a fixed place).
  double normal();

 private:
  void refill();

  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_ = {};
  int used_ = 4;
};

/// Fisher-Yates permutation of 0..n-1.
std::vector<std::int64_t> random_permutation(std::int64_t n, RandomStream stream);

}  // namespace grokscope
