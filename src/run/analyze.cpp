#include "run/analyze.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "config/document.hpp"
#include "config/override.hpp"
#include "io/durable_file.hpp"
#include "probes/tracked_examples.hpp"
#include "run/changed_settings.hpp"
#include "run/device.hpp"
#include "run/initialisation.hpp"
#include "run/plan.hpp"
#include "run/probe_set.hpp"
#include "run/provenance.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

/// Whether a key without influence on numbers decides what files hold: two analyses that differ in it are not one.
bool decides_what_is_stored(const std::string& path) {
  return path.starts_with("storage.store_") || path.starts_with("storage.gop_schedule") || path == "storage.layout" ||
         path == "storage.float_precision" || path == "storage.compression";
}

std::vector<CheckpointEntry> chosen_checkpoints(const fs::path& directory, const std::vector<std::int64_t>& epochs, Log& log) {
  std::vector<CheckpointEntry> chosen;
  std::set<std::int64_t> missing(epochs.begin(), epochs.end());
  for (const auto& entry : list_checkpoints(directory)) {
    if (!entry.problem.empty()) {
      log.warn("leaving out {}: {}", entry.path.filename().string(), entry.problem);
    } else if (epochs.empty() || std::find(epochs.begin(), epochs.end(), entry.epoch) != epochs.end()) {
      chosen.push_back(entry);
      missing.erase(entry.epoch);
    }
  }
  if (missing.empty() && !chosen.empty()) return chosen;
  throw UserError(fmt::format("{} has no checkpoint{} (analysis starts from stored parameters), list them with 'ls {}'",
                              directory.string(), missing.empty() ? "" : fmt::format(" of epoch {}", fmt::join(missing, ", ")),
                              (directory / "checkpoints").string()));
}

/// Those that the root found: a run that still goes on may commit while its checkpoints are listed. Collective over comm.
std::vector<CheckpointEntry> agreed_checkpoints(const Communicator& comm, const fs::path& directory,
                                                const std::vector<std::int64_t>& epochs, Log& log) {
  std::vector<CheckpointEntry> chosen;
  std::string names;
  comm.on_root([&] {
    chosen = chosen_checkpoints(directory, epochs, log);
    for (const auto& entry : chosen) names += entry.path.filename().string() + "\n";
  });
  names = comm.broadcast_text(names);
  comm.agree([&] {
    if (comm.is_root()) return;
    for (const auto& entry : list_checkpoints(directory)) {
      if (entry.problem.empty() && names.find(entry.path.filename().string() + "\n") != std::string::npos) chosen.push_back(entry);
    }
    const auto wanted = static_cast<std::size_t>(std::count(names.begin(), names.end(), '\n'));
    if (chosen.size() != wanted) {
      throw EnvironmentError(fmt::format("{} shows other checkpoints here than to rank 0 (the file system is not shared, or not up to date), "
                                         "put the run where all ranks see it", directory.string()));
    }
  });
  return chosen;
}

void refuse_other_settings(const fs::path& target, const Schemas& schemas) {
  const auto stored = target / "config.yaml";
  if (!fs::exists(stored)) return;
  std::vector<std::string> others;
  for (const auto& d : difference(parse_document(read_text(stored), stored.string()), schemas)) {
    if (d.scientific || decides_what_is_stored(d.path)) others.push_back(d.text());
  }
  if (others.empty()) return;
  throw UserError(fmt::format("{} holds an analysis with other settings ({}), give this one another --name, or replace that one "
                              "with --fresh", target.string(), join(others, "; ")));
}

/// Of the parameters alone: the same moment may have been committed twice, with another history.
std::uint64_t hash_of_parameters(const Checkpoint& checkpoint) {
  std::uint64_t hash = 0;
  for (const auto& array : checkpoint.arrays) {
    if (array.name.starts_with("parameters/")) hash = hash_bytes(array.bytes.data(), array.bytes.size(), hash);
  }
  return hash;
}

/// The moments that an analysis has measured, as its commits say.
class MeasuredMoments {
 public:
  bool has(std::int64_t step) const { return all_.contains(step); }
  std::int64_t last_step() const { return all_.rbegin()->first; }
  std::int64_t last_epoch() const { return all_.rbegin()->second.epoch; }

  void add(const Moment& now, std::uint64_t parameters) { all_[now.step] = {now.epoch, parameters}; }
  /// Throws UserError when a moment that was measured had other parameters than it has now.
  void refuse_other_parameters(const CheckpointEntry& entry, std::uint64_t parameters) const {
    if (all_.at(entry.step).parameters == parameters) return;
    throw UserError(fmt::format("{} is not the checkpoint that was measured (the run was trained anew), measure it under another "
                                "--name, or replace the analysis with --fresh", entry.path.string()));
  }

  std::vector<NamedArray> arrays() const;
  /// Throws UserError where the commit is none of arrays().
  void load(const Checkpoint& commit, const fs::path& target);

 private:
  struct Measured {
    std::int64_t epoch = 0;
    std::uint64_t parameters = 0;  ///< their hash
  };
  std::map<std::int64_t, Measured> all_;  ///< by step
};

std::vector<NamedArray> MeasuredMoments::arrays() const {
  const auto n = static_cast<std::int64_t>(all_.size());
  std::vector<std::int64_t> steps, epochs;
  std::vector<std::uint64_t> parameters;
  for (const auto& [step, measured] : all_) {
    steps.push_back(step);
    epochs.push_back(measured.epoch);
    parameters.push_back(measured.parameters);
  }
  std::vector<NamedArray> arrays;
  arrays.push_back(NamedArray::from<std::int64_t>("measured/step", {n}, steps)
                       .described({"steps of what is measured", "1", "of this moment and all that were measured before"}));
  arrays.push_back(NamedArray::from<std::int64_t>("measured/epoch", {n}, epochs).described({"epochs of the same", "1", ""}));
  arrays.push_back(NamedArray::from<std::uint64_t>("measured/parameters", {n}, parameters)
                       .described({"parameters there", "1", "XXH3 of the bytes of all parameters"}));
  return arrays;
}

void MeasuredMoments::load(const Checkpoint& commit, const fs::path& target) {
  if (find_array_if_present(commit.arrays, "measured/step") == nullptr) {
    throw UserError(fmt::format("{} does not say what it has measured (an earlier version wrote it), measure under another "
                                "--name, or replace it with --fresh", target.string()));
  }
  const auto steps = find_array(commit.arrays, "measured/step").values<std::int64_t>();
  const auto epochs = find_array(commit.arrays, "measured/epoch").values<std::int64_t>();
  const auto parameters = find_array(commit.arrays, "measured/parameters").values<std::uint64_t>();
  for (std::size_t i = 0; i < steps.size(); ++i) all_[steps[i]] = {epochs[i], parameters[i]};
}

/// Everything of an analysis between its first and its last commit. The task has data and model.
class Analysis {
 public:
  Analysis(const Communicator& comm, RunConfiguration& c, const fs::path& target, Log& log, const SessionOptions& options)
      : comm_(comm), c_(c), options_(options), log_(log), stop_(options.max_time_s, options.stop_asked),
        directory_(open_directory(target)), writer_(comm, directory_, log, writer_options()),
        trainer_(comm, *c.task, c.training, timers_) {}

  void run(const std::vector<CheckpointEntry>& checkpoints);

 private:
  RunDirectory open_directory(const fs::path& target) const;
  WriterOptions writer_options();
  void take_up(const std::vector<CheckpointEntry>& checkpoints);
  void look_at(const CheckpointEntry& entry);
  void observe(const Moment& now);
  void commit();
  void write_status(RunState state, const std::string& reason, ExitCode code) const;
  void leave(RunState state, const std::string& reason, ExitCode code);
  std::string progress() const { return fmt::format("{} of {} checkpoints are measured", done_, all_); }

  const Communicator& comm_;
  RunConfiguration& c_;
  const SessionOptions& options_;
  Log& log_;
  TimerTree timers_;
  StopFlag stop_;
  RunDirectory directory_;
  RunWriter writer_;
  Trainer trainer_;
  ProbeSet probes_;
  MeasuredMoments measured_;
  std::size_t done_ = 0, all_ = 0;  ///< checkpoints that were asked for
};

RunDirectory Analysis::open_directory(const fs::path& target) const {
  const RunIdentity identity{c_.fingerprint, resolved_yaml(c_.schemas), resolved_json(c_.schemas), c_.input_text};
  return RunDirectory::open(comm_, target, identity, options_.fresh ? OpenMode::fresh : OpenMode::resume,
                            [&](const std::string& stored) { return forbidding_changes(stored, c_); });
}

WriterOptions Analysis::writer_options() {
  WriterOptions options;
  options.panel_bytes = static_cast<std::int64_t>(c_.storage.panel_memory_gb * 1e9);
  options.retention.keep_last = 2;  // each commit holds all of them
  options.panel_begins = [this] { stop_.poll(comm_); };
  options.root_attributes = {{"experiment", c_.experiment.name}, {"loss_reduction", c_.task->loss().definition()},
                             {"normalisation", std::string("1/N")}};
  return options;
}

void Analysis::run(const std::vector<CheckpointEntry>& checkpoints) {
  all_ = checkpoints.size();
  try {
    take_up(checkpoints);
    write_status(RunState::running, "", ExitCode::done);
    for (const auto& entry : checkpoints) look_at(entry);
    write_status(RunState::done, "", ExitCode::done);
  } catch (const StopRequested& stop) {
    const auto reason = fmt::format("{}: {}, run the same command again to go on", stop.what(), progress());
    log_.info("{}", reason);
    leave(RunState::checkpointed, reason, stop.code());
    throw StopRequested(reason);
  } catch (const std::exception& error) {
    const auto* ours = dynamic_cast<const Error*>(&error);
    leave(RunState::failed, error.what(), ours ? ours->code() : ExitCode::internal);
    throw;
  }
  probes_.release();
  writer_.close();
  directory_.close();
}

void Analysis::take_up(const std::vector<CheckpointEntry>& checkpoints) {
  if (comm_.is_root()) log_.open_file(directory_.path() / "log.txt");
  probes_.make_post_hoc({comm_, *c_.task, writer_, log_, timers_, stop_}, c_, trainer_);  // first: it brings tracked_ids
  writer_.set_parameters(parameter_rows(c_.task->model().parameters));
  const auto last = writer_.resume();
  writer_.set_provenance(provenance(comm_, options_.launch, options_.arguments));
  if (!last) return;
  comm_.agree([&] { measured_.load(*last, directory_.path()); });
  const auto is_measured = [&](const CheckpointEntry& entry) { return measured_.has(entry.step); };
  done_ = static_cast<std::size_t>(std::count_if(checkpoints.begin(), checkpoints.end(), is_measured));
  log_.info("taking up {}: {}", directory_.path().string(), progress());
  const auto next = std::find_if_not(checkpoints.begin(), checkpoints.end(), is_measured);
  if (next == checkpoints.end()) return;
  if (next->step > measured_.last_step()) return probes_.load(last->arrays);
  log_.warn("epoch {} is measured after epoch {}: rows of metrics.h5 stand in the order in which they were measured",
            next->epoch, measured_.last_epoch());
}

void Analysis::look_at(const CheckpointEntry& entry) {
  Checkpoint checkpoint;
  std::uint64_t parameters = 0;
  const bool is_known = measured_.has(entry.step);
  comm_.agree([&] {
    checkpoint = read_checkpoint(entry.path);
    parameters = hash_of_parameters(checkpoint);
    if (is_known) measured_.refuse_other_parameters(entry, parameters);
  });
  if (is_known) return;
  trainer_.load(checkpoint.arrays);
  auto now = trainer_.now();
  const auto* is_last = find_attribute(checkpoint.cursor, "done");  // of a run that ended before its last step, too
  now.final = now.final || (is_last != nullptr && *is_last == Attribute(std::int64_t{1}));
  const auto pass = trainer_.backward(Taping::off, stop_);
  if (pass.stop) stop_.set_agreed();
  stop_.poll(comm_);
  const auto evaluation = trainer_.evaluate(pass);
  observe(now);
  probes_.measure_all({now, evaluation, nullptr});
  measured_.add(now, parameters);
  commit();
  ++done_;
  log_.info("measured {} ({} of {})", now.name(), done_, all_);
}

void Analysis::observe(const Moment& now) {
  const auto timer = timers_.scope("observe");
  Record observables{"observables", now.epoch, now.step, {}};
  c_.task->observe(now, Spread(comm_), observables);
  if (!observables.measurements.empty()) writer_.append(observables);
}

/// Under the name of the latest moment, which is where the next launch looks, whichever was measured last.
void Analysis::commit() {
  const auto step = measured_.last_step();
  const Moment latest{measured_.last_epoch(), step, step % trainer_.steps_per_epoch()};
  Checkpoint checkpoint{latest.epoch, latest.step, {}, measured_.arrays(), latest.name() + ".h5"};
  for (auto& array : probes_.state()) checkpoint.arrays.push_back(std::move(array));
  writer_.commit(checkpoint);
}

void Analysis::write_status(RunState state, const std::string& reason, ExitCode code) const {
  if (!comm_.is_root()) return;
  directory_.write_status({state, reason, static_cast<int>(code),
                           {{"measured", static_cast<std::int64_t>(done_)}, {"checkpoints", static_cast<std::int64_t>(all_)}}});
}

/// Before the end. Never throws: what brought us here matters more.
void Analysis::leave(RunState state, const std::string& reason, ExitCode code) {
  try {
    writer_.close();  // what is not committed may be what fills the disk
    write_status(state, reason, code);
  } catch (const std::exception& error) {
    log_.warn("STATUS could not be written: {}", error.what());
  }
}

}  // namespace

std::string analysis_name(std::span<const std::string> overrides, std::span<const std::int64_t> epochs, const Schemas& schemas) {
  constexpr std::size_t kLongest = 60;
  auto name = "gop" + overrides_suffix(overrides, schemas);
  std::map<std::string, std::string> stored;
  for (const auto& text : overrides) {
    const auto path = parse_override(text).path;
    if (decides_what_is_stored(path)) stored[path] = std::string(trim(text.substr(text.find('=') + 1)));
  }
  const auto rows = schemas.rows();
  for (const auto& [path, value] : stored) name += fmt::format("+{}={}", short_key_name(path, rows), file_name_part(value));
  if (epochs.empty()) return name;
  const auto list = fmt::format("{}", fmt::join(std::set(epochs.begin(), epochs.end()), ","));
  return name + "+epochs=" + (list.size() <= kLongest ? list : hex(hash_text(list)).substr(0, 12));
}

fs::path run_analysis(const Communicator& comm, RunConfiguration& c, const std::vector<std::int64_t>& epochs,
                      const std::string& name, const SessionOptions& options) {
  set_threads(static_cast<int>(c.limits.threads_per_rank));
  auto log = comm.is_root() ? Log::speaking(options.verbosity) : Log::silent();
  const auto target = c.run_directory / "analysis" / name;
  const auto checkpoints = agreed_checkpoints(comm, c.run_directory, epochs, log);
  comm.agree([&] {
    if (!options.fresh) refuse_other_settings(target, c.schemas);
    const auto stored = read_data(c.run_directory / "data.h5");
    c.task->restore_data(stored);
    check_tracked_examples(c.task->data(), c.gop);
    c.task->build_model(c.training);
    c.task->convert(choose_device(c.training.device, comm.rank()), parameter_type(c.training));
    if (c.training.init_from) apply_start(stored, c.task->model().parameters);
    c.task->note_start();
    if (const auto warning = check_storage_limits(c); !warning.empty()) log.warn("{}", warning);
  });
  Analysis(comm, c, target, log, options).run(checkpoints);
  log.info("files: {}", (target / "metrics.h5").string());
  return target;
}

}  // namespace grokscope
