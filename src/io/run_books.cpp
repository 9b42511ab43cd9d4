#include "io/run_books.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/text.hpp"
#include "base/timer.hpp"
#include "io/durable_file.hpp"
#include "io/panel_journal.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

void remove_temporaries(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".tmp") remove_path(entry.path());
  }
}

}  // namespace

RunWriter::Books::Books(const RunDirectory& directory, Log& log, const WriterOptions& options)
    : pending(directory.segments()), directory_(directory), log_(log), options_(options) {
  facts.root = options.root_attributes;
  if (!directory.is_locked()) {
    log_.warn(
        "{} cannot be locked (the file system has no locks), so take care that no second job writes there",
        directory.path().string());
  }
}

fs::path RunWriter::Books::recover() {
  const auto parameters = facts.parameters;
  const auto entries = list_checkpoints(directory_.path());
  const auto newest = std::ranges::find_if(entries.rbegin(), entries.rend(),
                                           [&](const auto& entry) { return try_commit(entry); });
  if (newest == entries.rend() && !entries.empty()) {
    throw EnvironmentError(
        fmt::format("none of the {} checkpoints in {} is whole (see the warnings), restore the files "
                    "or start again with --fresh",
                    entries.size(), directory_.checkpoints().string()));
  }
  if (!parameters.empty()) facts.parameters = parameters;
  delete_later_checkpoints(entries);
  publish_views(all_segments());  // before the later segments go: no published file may point to nothing
  delete_uncommitted_files();
  if (!csv_.open(directory_.path() / "metrics.csv", record_.csv_bytes)) {
    log_.warn("metrics.csv is shorter than at the commit and starts anew (metrics.h5 has all rows)");
  }
  is_recovered_ = true;
  return newest == entries.rend() ? fs::path() : newest->path;
}

bool RunWriter::Books::try_commit(const CheckpointEntry& entry) {
  try {
    if (!entry.problem.empty()) throw EnvironmentError(entry.problem);
    RunFacts found;
    const auto record = read_commit_record(entry.path, found);
    verify_files(record);
    links_.clear();
    for (const auto& file : record.files) {
      if (file.is_matrix) continue;
      std::ranges::copy(list_epoch_links(directory_.segments() / file.name), std::back_inserter(links_));
    }
    found.root = facts.root;
    found.fixed = facts.fixed;
    facts = found;
    record_ = record;
    committed_ = {entry.epoch, entry.step};
    return true;
  } catch (const DiskError& error) {
    throw DiskError(fmt::format("{}\n(whether {} is whole is not known, and nothing was changed: run the same command again, or "
                                "move that checkpoint away to go on from the one before)",
                                error.what(), entry.path.string()));
  } catch (const EnvironmentError& error) {
    log_.warn("skipping checkpoint {}: {}", entry.path.filename().string(), error.what());
    return false;
  }
}

void RunWriter::Books::verify_files(const CommitRecord& record) {
  for (const auto& file : record.files) {
    const auto path = directory_.segments() / file.name;
    if (!fs::exists(path)) {
      throw EnvironmentError(fmt::format(
          "{} is missing (a commit relies on it), restore it or resume before it", path.string()));
    }
    if (verified_.contains(file.name)) continue;
    if (file.is_matrix) {
      verify_matrix_file(path, file);
    } else if (hash_file(path) != file.hash) {
      throw EnvironmentError(
          fmt::format("{} is damaged (its bytes do not have the committed hash), restore it or resume "
                      "before it",
                      path.string()));
    }
    verified_[file.name] = file.hash;
  }
}

void RunWriter::Books::delete_later_checkpoints(const std::vector<CheckpointEntry>& entries) {
  for (const auto& entry : entries) {
    const bool later = std::tuple(entry.step, entry.epoch) > std::tuple(committed_.step, committed_.epoch);
    if (!entry.problem.empty()) {
      log_.warn("setting {} aside as .damaged ({})", entry.path.filename().string(), entry.problem);
      rename_path(entry.path, entry.path.string() + ".damaged");
    } else if (later) {
      remove_path(entry.path);
    }
  }
  sync_folder(directory_.checkpoints());
}

void RunWriter::Books::drop_uncommitted() {
  pending.discard();
  if (is_recovered_) delete_uncommitted_files();  // before, nothing is known of what is committed
}

void RunWriter::Books::delete_uncommitted_files() const {
  std::set<std::string> committed;
  for (const auto& file : record_.files) committed.insert(file.name);
  for (const auto& entry : fs::directory_iterator(directory_.segments())) {
    const auto name = entry.path().filename().string();
    if (committed.contains(name)) continue;
    // A matrix whose commit failed at its last step is taken up whole: its journals still lie where it was written.
    if (fs::exists(journal_of_rank(directory_.work() / name, 0))) {
      rename_path(entry.path(), directory_.work() / name);
    } else {
      remove_path(entry.path());
    }
  }
  remove_temporaries(directory_.checkpoints());
  remove_temporaries(directory_.path());
}

void RunWriter::Books::append(const Record& record) {
  rows_.append(record);
  if (record.table == "training") csv_.append(record);
}

void RunWriter::Books::commit(const Checkpoint& checkpoint) {
  const auto finished = pending.finish(rows_, checkpoint.epoch);
  auto record = record_;
  std::ranges::copy(finished.files, std::back_inserter(record.files));
  for (const auto& file : finished.files) {
    if (file.is_matrix) publish_file(directory_.work() / file.name, directory_.segments() / file.name);
  }
  record.csv_bytes = csv_.sync();
  const auto name =
      checkpoint.file_name.empty() ? fmt::format("epoch_{}.h5", checkpoint.epoch) : checkpoint.file_name;
  const auto path = directory_.checkpoints() / name;
  write_checkpoint(temporary_of(path), checkpoint, record, facts);
  publish_file(temporary_of(path), path);  // this rename is the commit
  record_ = std::move(record);
  std::ranges::copy(finished.links, std::back_inserter(links_));
  remove_path(directory_.work());
  rows_.clear();
  committed_ = {checkpoint.epoch, checkpoint.step};
  // A run of a thousand commits would spend its time in a thousand segments: add the new one to what is
  // published.
  auto sources = all_segments();
  if (metrics_are_as_published()) {
    sources.erase(sources.begin(),
                  sources.end() - static_cast<std::ptrdiff_t>(finished.files.empty() ? 0 : 1));
    sources.insert(sources.begin(), {directory_.path() / "metrics.h5", "/"});
  }
  publish_views(sources);
  retain_checkpoints();
}

bool RunWriter::Books::redefine(const std::string& group, Summary summary) {
  const auto meanings_of = [](const Summary& entries) {
    std::set<std::tuple<std::string, std::string, std::string>> meanings;
    for (const auto& entry : entries) meanings.emplace(entry.name, entry.description.definition, entry.over);
    return meanings;
  };
  auto& committed = facts.summaries[group];
  if (meanings_of(committed) == meanings_of(summary)) return false;
  committed = std::move(summary);
  publish_views(all_segments());
  return true;
}

PanelProgress RunWriter::Books::show_panels_of(const std::string& name, std::int64_t bytes) {
  constexpr double kInterval = 30;
  return [this, name, bytes, watch = Stopwatch(), shown = 0.0, is_first = true](std::int64_t done, std::int64_t all) mutable {
    if (std::exchange(is_first, false) && done > 0) log_.info("taking up {}: {} of {} panels are on the disk", name, done, all);
    if (watch.seconds() - shown < kInterval) return;
    shown = watch.seconds();
    log_.info("writing {} ({}): {} of {} panels", name, format_bytes(static_cast<double>(bytes)), done, all);
  };
}

std::vector<TableSource> RunWriter::Books::all_segments() const {
  std::vector<TableSource> sources;
  for (const auto& file : record_.files) {
    if (!file.is_matrix) sources.push_back({directory_.segments() / file.name, kSegmentTables});
  }
  return sources;
}

bool RunWriter::Books::metrics_are_as_published() const {
  const auto path = directory_.path() / "metrics.h5";
  return fs::exists(path) && hash_file(path) == metrics_hash_;
}

void RunWriter::Books::publish_views(const std::vector<TableSource>& sources) {
  const auto metrics = directory_.path() / "metrics.h5";
  publish_metrics(metrics, sources, facts, committed_);
  metrics_hash_ = hash_file(metrics);
  for (const std::string view : {"gop_full", "gop_layers"}) {
    publish_links(directory_.path() / (view + ".h5"), view, links_, facts, committed_);
  }
}

void RunWriter::Books::retain_checkpoints() const {
  if (options_.retention.keep_last <= 0) return;
  auto entries = list_checkpoints(directory_.path());
  std::erase_if(entries, [](const auto& entry) { return !entry.problem.empty(); });
  std::vector<std::int64_t> epochs;
  for (const auto& entry : entries) epochs.push_back(entry.epoch);
  for (const auto i : surplus_checkpoints(epochs, options_.retention)) remove_path(entries[i].path);
}

}  // namespace grokscope
