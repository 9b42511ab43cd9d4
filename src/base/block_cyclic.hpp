// Which process holds element i of a block-cyclically distributed dimension, and where?
// The index arithmetic of ScaLAPACK in one dimension, with 0-based indices and source process 0.
#pragma once

#include <algorithm>
#include <cstdint>

namespace grokscope {

/// One dimension of a block-cyclic distribution: `n` elements in blocks of `nb` dealt to `processes` processes in turn.
struct BlockCyclic {
  std::int64_t n = 0;
  std::int64_t nb = 1;
  int processes = 1;

  int owner(std::int64_t i_glob) const { return static_cast<int>(i_glob / nb % processes); }

  std::int64_t local_index(std::int64_t i_glob) const { return i_glob / (nb * processes) * nb + i_glob % nb; }

  std::int64_t global_index(std::int64_t i_loc, int process) const {
    return (i_loc / nb * processes + process) * nb + i_loc % nb;
  }

  /// Number of elements that `process` holds (ScaLAPACK's numroc).
  std::int64_t local_count(int process) const {
    const std::int64_t full_blocks = n / nb;
    std::int64_t count = full_blocks / processes * nb;
    const std::int64_t extra_blocks = full_blocks % processes;
    if (process < extra_blocks) count += nb;
    if (process == extra_blocks) count += n % nb;
    return count;
  }

  /// Number of the elements of `process` whose global index is below `i_glob`: the first local index at or past it.
  std::int64_t local_lower_bound(std::int64_t i_glob, int process) const {
    return BlockCyclic{std::min(i_glob, n), nb, processes}.local_count(process);
  }
};

/// A contiguous range of global indices.
struct IndexRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

/// Deals `n` elements to `parts` parts as evenly as possible, contiguous and in order; earlier parts take the remainder.
inline IndexRange even_share(std::int64_t n, std::int64_t parts, std::int64_t part) {
  const std::int64_t quotient = n / parts;
  const std::int64_t remainder = n % parts;
  const std::int64_t begin = part * quotient + std::min(part, remainder);
  return {begin, begin + quotient + (part < remainder ? 1 : 0)};
}

}  // namespace grokscope
