// What is enough to go on as if nothing had happened?
// A checkpoint is the training state, and at the same time the record of what the run has committed: its
// rename is the commit. Plain HDF5, one dataset an array: parameters/<dotted name>, optimizer/..., rng/...,
// probes/...
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/named_array.hpp"
#include "io/attributes.hpp"
#include "io/run_facts.hpp"

namespace grokscope {

/// The state before the first step of `epoch`. When read back, cursor and arrays are sorted by name.
struct Checkpoint {
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  Attributes cursor;  ///< counters and small state
  std::vector<NamedArray> arrays;
  std::string file_name = {};  ///< empty means epoch_<epoch>.h5
};

/// One file below .segments/ that a commit relies on.
struct CommittedFile {
  std::string name;
  std::int64_t bytes = 0;
  std::uint64_t hash = 0;  ///< of the file's bytes; for a matrix, of its panel hashes
  bool is_matrix = false;
};

/// What a checkpoint commits beside the state.
struct CommitRecord {
  std::vector<CommittedFile> files;
  std::int64_t csv_bytes = 0;
};

/// Writes the checkpoint to `path`, not yet synced. Local.
void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint,
                      const CommitRecord& record, const RunFacts& facts);

/// Reads a checkpoint back; throws EnvironmentError when it is not whole. Local.
Checkpoint read_checkpoint(const std::filesystem::path& path);

/// Reads what the checkpoint committed; fills all of `facts` but its root attributes. Local.
CommitRecord read_commit_record(const std::filesystem::path& path, RunFacts& facts);

struct CheckpointEntry {
  std::filesystem::path path;
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  std::string problem;  ///< why it is no whole file, empty when it is one
};

/// Lists the checkpoints of a run directory, oldest first; those that are no whole files come first of all. Throws DiskError when
/// the disk does not answer. Local.
std::vector<CheckpointEntry> list_checkpoints(const std::filesystem::path& run_directory);

}  // namespace grokscope
