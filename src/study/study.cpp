#include "study/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "config/document.hpp"
#include "io/run_directory.hpp"
#include "study/member_exchange.hpp"
#include "study/study_table.hpp"

namespace grokscope {
namespace {

/// A study may grow by members and seeds; whether those that are there are the same is asked of each by
/// itself.
RunDirectory open_directory(const Communicator& world, const StudyConfiguration& study,
                            const SessionOptions& options) {
  const RunIdentity identity{hex(hash_text("study")), resolved_yaml(study.schemas),
                             resolved_json(study.schemas), study.input_text, RunIdentity::Kind::study};
  return RunDirectory::open(world, study.run_directory, identity,
                            options.fresh ? OpenMode::fresh : OpenMode::resume,
                            [](const std::string&) { return std::string("a single run, not a study"); });
}

std::vector<MemberQueue::Entry> entries_of(const StudyConfiguration& study) {
  std::vector<MemberQueue::Entry> entries;
  for (const auto& member : study.members) entries.push_back({member.name, member.after});
  return entries;
}

std::set<std::string> citations_of(const StudyConfiguration& study) {
  std::set<std::string> citations;
  for (const auto& member : study.members) citations.insert(member.configuration->task->info().citation);
  return citations;
}

/// Everything of a study between its first and its last line.
class Study {
 public:
  Study(const Communicator& world, StudyConfiguration& study, const SessionOptions& options)
      : world_(world),
        study_(study),
        options_(options),
        log_(world.is_root() ? Log::speaking(options.verbosity) : Log::silent()),
        directory_(open_directory(world, study, options)),
        queue_(entries_of(study)),
        table_(study),
        codes_(study.members.size(), ExitCode::done),
        citations_(citations_of(study)) {}

  StudyResult run();

 private:
  void begin();
  void refuse_other_runs() const;
  void train_members();
  MemberOutcome train(const Communicator& group, std::size_t index, const SessionOptions& options);
  void note_end(const MemberOutcome& outcome);
  void publish();
  std::vector<Place> places_of_done(const std::string& quantity) const;
  StudyResult conclude();
  void print_end(const StudyResult& result);
  void write_status(RunState state, const std::string& reason, int code);

  const Communicator& world_;
  StudyConfiguration& study_;
  const SessionOptions& options_;
  Log log_;
  RunDirectory directory_;
  MemberQueue queue_;            ///< the root's counts
  StudyTable table_;             ///< the root's counts
  std::vector<ExitCode> codes_;  ///< by member, of those that have ended here; the root's count
  std::set<std::string> citations_;
  std::string stop_reason_;
  Stopwatch watch_;
};

void Study::refuse_other_runs() const {
  std::vector<std::string> lines;
  for (const auto& member : study_.members) {
    const auto& c = *member.configuration;
    const auto stored = stored_fingerprint(c.run_directory);
    if (!stored || *stored == c.fingerprint) continue;
    std::vector<std::string> keys;
    const auto file = c.run_directory / "config.yaml";
    if (std::filesystem::exists(file)) {
      for (const auto& d : difference(load_document(file), c.schemas)) {
        if (d.scientific) keys.push_back(d.text());
      }
    }
    lines.push_back(fmt::format("{}: {}", member.name, join(keys, "; ")));
  }
  if (lines.empty()) return;
  throw UserError(
      fmt::format("{} holds other runs under these members' names (their results would be mixed), choose "
                  "another storage.output_dir, or replace what is there with --fresh:\n{}",
                  study_.run_directory.string(), join(lines, "\n")));
}

void Study::begin() {
  world_.on_root([&] {
    log_.open_file(directory_.path() / "log.txt");
    if (options_.fresh) {
      // Now, not as each begins: a study that is stopped before must not take those that wait for results of this time.
      for (const auto& member : study_.members) delete_run(member.configuration->run_directory);
    } else {
      refuse_other_runs();
    }
    for (std::size_t i = 0; i < study_.members.size() && !options_.fresh; ++i) {
      const auto& c = *study_.members[i].configuration;
      const auto status = read_status(c.run_directory);
      if (!status || !stored_fingerprint(c.run_directory)) continue;
      table_.read(i);
      if (status->state == RunState::done) queue_.end(i, MemberState::done, "");
    }
    write_status(RunState::running, "", 0);
    publish();
  });
  log_.info("study of {} members, {} done before: {}", queue_.size(), queue_.count(MemberState::done),
            directory_.path().string());
}

MemberOutcome Study::train(const Communicator& group, std::size_t index, const SessionOptions& options) {
  auto& member = study_.members[index];
  const auto configuration = std::move(member.configuration);  // its data and model go when it has ended
  try {
    run_session(group, *configuration, options);
    return {index, MemberState::done, "", ExitCode::done};
  } catch (const StopRequested& stop) {
    return {index, MemberState::checkpointed, stop.what(), stop.code()};
  } catch (const Error& error) {
    const bool is_shared = error.on_all_ranks() || group.size() == 1;
    const bool is_foreseen = error.code() == ExitCode::user || error.code() == ExitCode::environment;
    // Other groups do not know of it, so that this is not an error that all ranks share.
    if (!is_shared || !is_foreseen)
      throw_error(error.code(), fmt::format("member {}: {}", member.name, error.what()), false);
    return {index, MemberState::failed, error.what(), error.code()};
  }
}

void Study::train_members() {
  const int size = ranks_per_member(study_, world_.size());
  const int groups = world_.size() / size;
  if (world_.size() % size != 0) {
    log_.warn("{} of {} ranks stay idle (study.ranks_per_member is {}), start a multiple of it",
              world_.size() % size, world_.size(), size);
  }
  std::vector<int> leaders;
  for (int g = 0; g < groups; ++g) leaders.push_back(g * size);
  const MemberExchange::Observers observers{[&](std::size_t member) {
                                              log_.info("member {} begins on {} rank(s)",
                                                        study_.members[member].name, size);
                                            },
                                            [&](const MemberOutcome& outcome) { note_end(outcome); }};
  MemberExchange exchange(world_, leaders, queue_, observers, options_.max_time_s);
  const int mine = std::min(world_.rank() / size, groups);
  auto group = world_.split(mine);
  while (mine < groups) {
    std::int64_t next = -1;
    if (group.is_root()) {
      if (const auto member = exchange.next()) next = static_cast<std::int64_t>(*member);
    }
    next = group.broadcast_value(next);
    if (next < 0) break;
    const auto index = static_cast<std::size_t>(next);
    auto options = options_;
    options.fresh = false;  // begin() has deleted what there was
    // Sessions side by side would write into each other's lines.
    if (groups > 1 && options.verbosity == Verbosity::normal) options.verbosity = Verbosity::quiet;
    if (options.max_time_s) options.max_time_s = std::max(0.0, *options.max_time_s - watch_.seconds());
    options.launch.expected_ranks = size;  // the whole job's number was checked before
    options.stop_asked = [&] { return exchange.why_stop(); };
    const auto outcome = train(group, index, options);
    if (group.is_root()) exchange.report(outcome);
  }
  stop_reason_ = exchange.finish();
  group.free();
}

/// On the root, whenever a member ends: also in the middle of its own member, where an error would end the
/// job.
void Study::note_end(const MemberOutcome& outcome) {
  log_.info("member {}: {}{}", study_.members[outcome.member].name, name_of(outcome.state),
            outcome.reason.empty() ? "" : " (" + outcome.reason + ")");
  codes_[outcome.member] = outcome.code;
  try {
    table_.read(outcome.member);
    publish();
    write_status(RunState::running, "", 0);
  } catch (const EnvironmentError& error) {
    log_.warn("study.h5 is not up to date: {}", error.what());
  }
}

void Study::publish() {
  const auto columns = table_.columns(queue_);
  publish_columns(directory_.path() / "study.h5", columns,
                  {{"members", static_cast<std::int64_t>(queue_.size())}}, {"members", {"t_gen", "t_mem"}});
}

void Study::write_status(RunState state, const std::string& reason, int code) {
  if (!world_.is_root()) return;
  const auto count = [&](MemberState s) { return static_cast<std::int64_t>(queue_.count(s)); };
  directory_.write_status({state,
                           reason,
                           code,
                           {{"members", static_cast<std::int64_t>(queue_.size())},
                            {"done", count(MemberState::done)},
                            {"failed", count(MemberState::failed)},
                            {"skipped", count(MemberState::skipped)}}});
}

/// Of a member that is not done nothing can be claimed.
std::vector<Place> Study::places_of_done(const std::string& quantity) const {
  auto places = study_.places(quantity);
  for (auto& place : places) {
    const auto member = std::ranges::find(study_.members, place.member, &StudyMember::name);
    const auto state = queue_.state(static_cast<std::size_t>(member - study_.members.begin()));
    if (state != MemberState::done) place.problem = fmt::format("{} is {}", place.member, name_of(state));
  }
  return places;
}

StudyResult Study::conclude() {
  StudyResult result;
  result.verdicts = compare(study_.options.expected, [&](const auto& quantity) { return places_of_done(quantity); });
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    const auto state = queue_.state(i);
    if (state != MemberState::failed && state != MemberState::skipped) continue;
    lines.push_back(fmt::format("{} {}: {}", study_.members[i].name, name_of(state), queue_.reason(i)));
    if (result.code == ExitCode::done) result.code = codes_[i];
  }
  if (!lines.empty())
    result.problem =
        fmt::format("{} of {} members are not done:\n{}", lines.size(), queue_.size(), join(lines, "\n"));
  return result;
}

void Study::print_end(const StudyResult& result) {
  log_.info("");
  for (const auto& line : table_.lines(queue_)) log_.info("{}", line);
  if (!result.verdicts.empty()) log_.info("claim against result:");
  for (const auto& verdict : result.verdicts) log_.info("  {}", verdict_line(verdict));
  log_.info("files: {}", (directory_.path() / "study.h5").string());
  for (const auto& citation : citations_) log_.info("cite:  {}", citation);
}

StudyResult Study::run() {
  StudyResult result;
  try {
    begin();
    train_members();
    world_.on_root([&] {
      for (std::size_t i = 0; i < queue_.size(); ++i) table_.read(i);
      publish();
      result = conclude();
      print_end(result);
    });
    const auto open = static_cast<std::int64_t>(queue_.count(MemberState::pending) +
                                                queue_.count(MemberState::checkpointed));
    if (!stop_reason_.empty() && world_.broadcast_value(open) > 0) throw StopRequested(stop_reason_);
    result.code = static_cast<ExitCode>(world_.broadcast_value(static_cast<std::int64_t>(result.code)));
    result.problem = world_.broadcast_text(result.problem);
    const bool is_done = result.problem.empty();
    world_.on_root([&] {
      write_status(is_done ? RunState::done : RunState::failed, result.problem,
                   static_cast<int>(result.code));
    });
  } catch (const StopRequested& stop) {
    log_.info("the study stops: {}", stop.what());
    write_status(RunState::checkpointed, stop.what(), static_cast<int>(stop.code()));
    throw;
  } catch (const Error& error) {
    if (error.on_all_ranks() || world_.size() == 1)
      write_status(RunState::failed, error.what(), static_cast<int>(error.code()));
    throw;
  }
  directory_.close();
  return result;
}

}  // namespace

StudyResult run_study(const Communicator& world, StudyConfiguration& study, const SessionOptions& options) {
  world.agree([&] { ranks_per_member(study, world.size()); });
  return Study(world, study, options).run();
}

}  // namespace grokscope
