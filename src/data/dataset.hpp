// Which examples are there, and which are mine?
// A Dataset is a table of examples with immutable global ids. Every rank can build the whole of it (generators are
// counter-based); a shard is a contiguous range of its rows, and depends on the number of ranks, never on a process grid.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/block_cyclic.hpp"
#include "base/named_array.hpp"

namespace grokscope {

struct Dataset {
  at::Tensor ids;      ///< [n] int64; never change, whatever the split or the shard
  at::Tensor inputs;   ///< [n, ...]
  at::Tensor targets;  ///< [n] int64 classes or [n, d_out] values

  std::int64_t size() const { return ids.defined() ? ids.size(0) : 0; }
  /// Rows `begin..end-1`, as views.
  Dataset rows(IndexRange range) const;
  /// The rows of the given positions, copied.
  Dataset select(const at::Tensor& positions) const;
  Dataset to(at::Device device) const;
  /// Host copies named `<prefix>/ids`, `<prefix>/inputs`, `<prefix>/targets`, for data.h5.
  std::vector<NamedArray> arrays(const std::string& prefix) const;
};

struct DataSplits {
  Dataset train;
  Dataset test;
};

/// Splits a table into two disjoint parts by a seeded permutation of its rows: the first `train_count` train, the rest
/// test. `train_count` must be in 1..n. Rows keep their ids.
DataSplits split_at_random(const Dataset& all, std::int64_t train_count, std::uint64_t seed);

/// Copies a tensor to host memory under a name.
NamedArray to_named_array(std::string name, const at::Tensor& tensor);

/// The tensor of an array (copied), on the CPU.
at::Tensor to_tensor(const NamedArray& array);

}  // namespace grokscope
