// Which runs does a study consist of? (`study:` in a configuration)
// Turns base, members, grid and seeds into ordinary configurations, each with its run directory
// RUN/members/<name>/ and the members that must end before it. The other sections of the file, and overrides,
// apply to every member.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "run/configuration.hpp"
#include "run/expected.hpp"

namespace grokscope {

struct MemberOptions {
  std::string name;
  Node overrides;
  std::optional<std::string> after;
  void declare(Schema& s);
};

struct StudyOptions {
  std::optional<std::string> base;
  std::vector<MemberOptions> members;
  Node grid;
  std::vector<std::int64_t> seeds;
  std::optional<std::int64_t> ranks_per_member;
  std::string output_dir = "auto";
  std::vector<Expectation> expected;
  void declare(Schemas& schemas);
};

/// One run of a study.
struct StudyMember {
  std::string name;   ///< "ticket,keep=0.4,seed=1", also its folder
  std::string group;  ///< the same without the seed: the runs that differ only in it
  std::string label;  ///< as the file calls it, "" for one that it does not name
  std::int64_t seed = 0;
  std::vector<std::size_t> after;  ///< positions of the members that must be done before it starts
  std::vector<std::pair<std::string, std::string>> overrides;  ///< key path and value, as set for this member
  std::unique_ptr<RunConfiguration> configuration;
};

/// Stays in place: the schemas point into it.
struct StudyConfiguration {
  StudyOptions options;
  Schemas schemas;
  std::vector<StudyMember> members;
  std::filesystem::path run_directory;
  std::string input_text;

  /// Where a quantity "members/<name or group>/<dataset>", with * for all members, lies, for expected.hpp.
  std::vector<Place> places(const std::string& quantity) const;
};

/// True when the file is a study. Throws as reading it does. Local.
bool is_study(const std::filesystem::path& file);

/// Reads, overrides, checks and resolves every member; builds nothing yet. Throws one ConfigurationError with
/// every problem. Local.
std::unique_ptr<StudyConfiguration> load_study(const std::filesystem::path& file,
                                               std::span<const std::string> overrides,
                                               Experiments experiments);

/// Throws UserError when `ranks` are too few for ranks_per_member; returns the ranks of each group otherwise.
/// Local.
int ranks_per_member(const StudyConfiguration& study, int ranks);

}  // namespace grokscope
