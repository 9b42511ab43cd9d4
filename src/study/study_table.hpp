// What came out of a study's members, as one table? (study.h5, and the end-of-study block)
// Reads the scalars of each member's /events and /results once, when it ends; knows nothing of peers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/column_file.hpp"
#include "study/member_queue.hpp"
#include "study/study_configuration.hpp"

namespace grokscope {

class StudyTable {
 public:
  /// `study` must outlive the table.
  explicit StudyTable(const StudyConfiguration& study);

  /// Reads what a member has published so far; nothing when it has published nothing. Local.
  void read(std::size_t member);

  /// Everything that study.h5 holds: /members with one row per member, /observables with one row per group of
  /// seeds.
  std::vector<FileColumn> columns(const MemberQueue& queue) const;

  /// The table of members for a person, one line each.
  std::vector<std::string> lines(const MemberQueue& queue) const;

  /// Seconds that all members took, over all their launches.
  double walltime_s() const;

 private:
  /// A scalar of a member's metrics.h5: "events/t_gen_step", or NaN.
  double value(std::size_t member, const std::string& name) const;
  /// t_mem, t_gen, delay or ratio.
  double time_of(std::size_t member, const std::string& name) const;
  void add_overrides(std::vector<FileColumn>& columns) const;
  void add_scalars(std::vector<FileColumn>& columns) const;
  void add_groups(std::vector<FileColumn>& columns) const;

  const StudyConfiguration& study_;
  std::vector<std::map<std::string, double>> values_;  ///< by member
  std::vector<double> walltime_s_;
};

/// Seconds that a run has trained, over all its launches, and the commit that its last launch was built from.
/// Local.
struct RunOrigin {
  double walltime_s = 0;
  std::string commit;
};
RunOrigin read_origin(const std::filesystem::path& metrics_file);

}  // namespace grokscope
