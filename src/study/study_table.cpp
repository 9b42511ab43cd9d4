#include "study/study_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.hpp"
#include "io/hdf5.hpp"
#include "io/run_facts.hpp"

namespace grokscope {
namespace {

struct Time {
  const char* name;
  const char* long_name;
  const char* units;
  const char* definition;
};

constexpr Time kTimes[] = {
    {"t_mem", "time of memorisation", "step",
     "first evaluation at which training accuracy reached training.memorised_at"},
    {"t_gen", "time of generalisation", "step",
     "first evaluation at which test accuracy reached training.generalised_at"},
    {"delay", "delay of generalisation", "step", "t_gen - t_mem"},
    {"ratio", "ratio of generalisation to memorisation", "1", "t_gen / t_mem"},
};

struct Statistic {
  const char* name;
  const char* definition;
  double (*of)(const std::vector<double>&);
};

double mean_of(const std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return v.empty() ? kMissing : sum / static_cast<double>(v.size());
}

double sd_of(const std::vector<double>& v) {
  if (v.size() < 2) return kMissing;
  const double mean = mean_of(v);
  double squares = 0;
  for (const double x : v) squares += (x - mean) * (x - mean);
  return std::sqrt(squares / static_cast<double>(v.size() - 1));
}

double min_of(const std::vector<double>& v) {
  return v.empty() ? kMissing : *std::min_element(v.begin(), v.end());
}
double max_of(const std::vector<double>& v) {
  return v.empty() ? kMissing : *std::max_element(v.begin(), v.end());
}
double count_of(const std::vector<double>& v) {
  return static_cast<double>(v.size());
}

constexpr Statistic kStatistics[] = {
    {"mean", "mean over the members of the group where it exists", mean_of},
    {"sd", "standard deviation (n - 1) over the members of the group where it exists", sd_of},
    {"min", "smallest over the members of the group where it exists", min_of},
    {"max", "largest over the members of the group where it exists", max_of},
    {"count", "number of members of the group where it exists", count_of},
};

std::vector<std::string> groups_of(const StudyConfiguration& study) {
  std::vector<std::string> groups;
  for (const auto& member : study.members) {
    if (std::find(groups.begin(), groups.end(), member.group) == groups.end()) groups.push_back(member.group);
  }
  return groups;
}

}  // namespace

RunOrigin read_origin(const std::filesystem::path& metrics_file) {
  RunOrigin origin;
  for (const auto& launch : read_launches(hdf5::open_file(metrics_file))) {
    if (!find_attribute(launch, "walltime_s")) continue;  // it found the run complete
    origin.walltime_s += attribute_value<double>(launch, "walltime_s");
    if (find_attribute(launch, "git_commit"))
      origin.commit = attribute_value<std::string>(launch, "git_commit");
  }
  return origin;
}

StudyTable::StudyTable(const StudyConfiguration& study)
    : study_(study), values_(study.members.size()), walltime_s_(study.members.size(), kMissing) {}

void StudyTable::read(std::size_t member) {
  const auto path = study_.run_directory / "members" / study_.members[member].name / "metrics.h5";
  if (!std::filesystem::exists(path)) return;
  values_[member].clear();
  const auto file = hdf5::open_file(path);
  for (const std::string group : {"events", "results"}) {
    if (!hdf5::exists(file, group)) continue;
    for (const auto& name : hdf5::list_datasets(hdf5::open_group(file, group))) {
      const auto dataset = group + "/" + name;
      if (hdf5::shape_of(hdf5::open_dataset(file, dataset)).empty())
        values_[member][dataset] = read_numbers(path, dataset).front();
    }
  }
  walltime_s_[member] = read_origin(path).walltime_s;
}

double StudyTable::value(std::size_t member, const std::string& name) const {
  const auto found = values_[member].find(name);
  return found == values_[member].end() ? kMissing : found->second;
}

double StudyTable::time_of(std::size_t member, const std::string& name) const {
  const double t_mem = value(member, "events/t_mem_step"), t_gen = value(member, "events/t_gen_step");
  if (name == "t_mem") return t_mem;
  if (name == "t_gen") return t_gen;
  if (name == "delay") return t_gen - t_mem;
  return t_mem > 0 ? t_gen / t_mem : kMissing;
}

double StudyTable::walltime_s() const {
  double sum = 0;
  for (const double s : walltime_s_) sum += std::isnan(s) ? 0 : s;
  return sum;
}

std::vector<FileColumn> StudyTable::columns(const MemberQueue& queue) const {
  std::vector<std::string> names, groups, states, reasons, directories;
  std::vector<std::int64_t> seeds;
  for (std::size_t i = 0; i < study_.members.size(); ++i) {
    const auto& member = study_.members[i];
    names.push_back(member.name);
    groups.push_back(member.group);
    seeds.push_back(member.seed);
    states.push_back(name_of(queue.state(i)));
    reasons.push_back(queue.reason(i));
    directories.push_back("members/" + member.name);
  }
  std::vector<FileColumn> columns{
      {{"members/name", "member", "1", "name of the member, also its folder below members/"}, names},
      {{"members/group", "group", "1", "name without the seed: members of one group differ in nothing else"},
       groups},
      {{"members/seed", "seed", "1", "training.seed"}, seeds},
      {{"members/status", "status", "1", "pending, running, checkpointed, done, failed or skipped"}, states},
      {{"members/reason", "reason", "1", "why the member failed, was skipped or stopped"}, reasons},
      {{"members/directory", "run directory", "1", "path of the run directory, relative to this file"},
       directories},
      {{"members/walltime", "wall time", "s", "sum over the member's launches, up to its last commit"},
       walltime_s_}};
  for (const auto& time : kTimes) {
    std::vector<double> values;
    for (std::size_t i = 0; i < names.size(); ++i) values.push_back(time_of(i, time.name));
    columns.push_back(
        {{std::string("members/") + time.name, time.long_name, time.units, time.definition}, values});
  }
  add_scalars(columns);
  add_overrides(columns);
  add_groups(columns);
  return columns;
}

void StudyTable::add_scalars(std::vector<FileColumn>& columns) const {
  std::set<std::string> names;
  for (const auto& values : values_) {
    for (const auto& [name, number] : values) names.insert(name);
  }
  for (const auto& name : names) {
    std::vector<double> numbers;
    for (std::size_t i = 0; i < values_.size(); ++i) numbers.push_back(value(i, name));
    columns.push_back({{"members/" + name, name.substr(name.find('/') + 1), "1",
                        fmt::format("/{} of the member's metrics.h5, NaN where it has none", name)},
                       numbers});
  }
}

void StudyTable::add_overrides(std::vector<FileColumn>& columns) const {
  std::set<std::string> keys;
  for (const auto& member : study_.members) {
    for (const auto& [key, text] : member.overrides) keys.insert(key);
  }
  for (const auto& key : keys) {
    std::vector<std::string> texts;
    for (const auto& member : study_.members) {
      const auto set = std::find_if(member.overrides.rbegin(), member.overrides.rend(),
                                    [&](const auto& pair) { return pair.first == key; });
      texts.push_back(set == member.overrides.rend() ? "" : set->second);
    }
    columns.push_back({{"members/overrides/" + key, key, "1",
                        "value that the study gives this key, empty where it gives none"},
                       texts});
  }
}

void StudyTable::add_groups(std::vector<FileColumn>& columns) const {
  const auto groups = groups_of(study_);
  columns.push_back({{"observables/group", "group", "1", "members that differ in their seed only"}, groups});
  for (const auto& time : kTimes) {
    for (const auto& statistic : kStatistics) {
      std::vector<double> values;
      for (const auto& group : groups) {
        std::vector<double> finite;
        for (std::size_t i = 0; i < study_.members.size(); ++i) {
          const double t = time_of(i, time.name);
          if (study_.members[i].group == group && !std::isnan(t)) finite.push_back(t);
        }
        values.push_back(statistic.of(finite));
      }
      const bool is_count = std::string(statistic.name) == "count";
      columns.push_back(
          {{fmt::format("observables/{}/{}", time.name, statistic.name),
            fmt::format("{} of {}", statistic.name, time.long_name), is_count ? "1" : time.units,
            fmt::format("{}: {}", time.definition, statistic.definition)},
           values});
    }
  }
}

std::vector<std::string> StudyTable::lines(const MemberQueue& queue) const {
  std::size_t width = 6;
  for (const auto& member : study_.members) width = std::max(width, member.name.size());
  std::vector<std::string> lines{fmt::format("{:<{}}  {:<12} {:>9} {:>9} {:>7} {:>12}", "member", width,
                                             "status", "t_mem", "t_gen", "ratio", "wall time")};
  const auto number = [](double v) { return std::isnan(v) ? std::string("-") : fmt::format("{:.6g}", v); };
  for (std::size_t i = 0; i < study_.members.size(); ++i) {
    const double ratio = time_of(i, "ratio");
    lines.push_back(fmt::format(
        "{:<{}}  {:<12} {:>9} {:>9} {:>7} {:>12}{}", study_.members[i].name, width, name_of(queue.state(i)),
        number(time_of(i, "t_mem")), number(time_of(i, "t_gen")),
        std::isnan(ratio) ? "-" : fmt::format("{:.2f}", ratio),
        std::isnan(walltime_s_[i]) ? "-" : format_duration(walltime_s_[i]),
        queue.reason(i).empty() ? "" : "  " + queue.reason(i).substr(0, queue.reason(i).find('\n'))));
  }
  return lines;
}

}  // namespace grokscope
