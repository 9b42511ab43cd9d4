// What does the root know about the run's files?
// The local half of RunWriter: which segments are committed, what is pending, how to commit it and how to
// find back. Speaks no MPI, so each step may simply throw; RunWriter tells the other ranks.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "io/metrics_csv.hpp"
#include "io/pending_segment.hpp"
#include "io/run_writer.hpp"

namespace grokscope {

class RunWriter::Books {
 public:
  Books(const RunDirectory& directory, Log& log, const WriterOptions& options);

  /// Returns the path of the checkpoint to go on from, empty when the run begins. Leaves a directory that
  /// shows that commit and nothing later.
  std::filesystem::path recover();

  void append(const Record& record);
  void commit(const Checkpoint& checkpoint);
  bool redefine(const std::string& group, Summary summary);
  /// Tells the log now and then how far a large matrix is.
  PanelProgress show_panels_of(const std::string& name, std::int64_t bytes);
  /// Forgets what is pending and deletes its files.
  void drop_uncommitted();

  PendingSegment pending;
  RunFacts facts;
  /// The entry of this launch in facts.launches, once it has one.
  std::optional<std::size_t> launch;

 private:
  bool try_commit(const CheckpointEntry& entry);
  void verify_files(const CommitRecord& record);
  void delete_later_checkpoints(const std::vector<CheckpointEntry>& entries);
  void delete_uncommitted_files() const;
  void publish_views(const std::vector<TableSource>& sources);
  std::vector<TableSource> all_segments() const;
  bool metrics_are_as_published() const;
  void retain_checkpoints() const;

  const RunDirectory& directory_;
  Log& log_;
  const WriterOptions& options_;
  CommitRecord record_;
  CommitPoint committed_;
  std::vector<EpochLink> links_;
  TableBuffer rows_;
  MetricsCsv csv_;
  bool is_recovered_ = false;
  std::uint64_t metrics_hash_ = 0;  ///< of metrics.h5 as published
  std::map<std::string, std::uint64_t>
      verified_;  ///< hashes already computed while looking for a whole commit
};

}  // namespace grokscope
