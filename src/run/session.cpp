#include "run/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/pace.hpp"
#include "base/text.hpp"
#include "comm/watchdog.hpp"
#include "io/run_writer.hpp"
#include "probes/tracked_examples.hpp"
#include "run/changed_settings.hpp"
#include "run/course.hpp"
#include "run/device.hpp"
#include "run/health.hpp"
#include "run/initialisation.hpp"
#include "run/plan.hpp"
#include "run/probe_set.hpp"
#include "run/provenance.hpp"
#include "run/summary.hpp"

namespace grokscope {
namespace {

HealthOptions health_options(const RunConfiguration& c) {
  return {c.run_directory, c.limits.keep_free_memory_gb * 1e9, c.limits.keep_free_disk_gb * 1e9,
          c.storage.disk_budget_gb * 1e9};
}

RunDirectory open_directory(const Communicator& comm, const RunConfiguration& c, const SessionOptions& options) {
  const RunIdentity identity{c.fingerprint, resolved_yaml(c.schemas), resolved_json(c.schemas), c.input_text};
  return RunDirectory::open(comm, c.run_directory, identity, options.fresh ? OpenMode::fresh : OpenMode::resume,
                            [&](const std::string& stored) { return forbidding_changes(stored, c); });
}

/// How much of a moment has been recorded. A stop can fall between, and the resumed run takes up there.
enum class Seen : std::int64_t { nothing, evaluated, everything };

/// Everything of a run between its first and its last line.
class Session {
 public:
  Session(const Communicator& comm, RunConfiguration& c, const SessionOptions& options)
      : comm_(comm), c_(c), options_(options),
        log_(comm.is_root() ? Log::speaking(options.verbosity) : Log::silent()),
        stop_(options.max_time_s, [this] { return why_stop(); }), health_(health_options(c)),
        safe_changes_(comm.is_root() && !options.fresh ? safe_changes(c) : ""),
        directory_(open_directory(comm, c, options)), course_(c.training),
        watchdog_({comm.rank(), c.limits.max_silence_s}, [this](const std::string& line) { say_last_words(line); }) {
    timers_.observe([this](const std::string& phase) { watchdog_.note(phase); });
  }

  SessionResult run();

 private:
  void build();
  void say_first_words();
  std::vector<NamedArray> data_arrays() const;
  WriterOptions writer_options();
  void initialise();
  void resume();
  void restore(const Checkpoint& checkpoint);
  void train();
  bool log_due(const Moment& now) const;
  void look(const Moment& now, StepPass& pass);
  void record_evaluation(const Moment& now, const Evaluation& evaluation);
  void observe(const Moment& now);
  /// What a commit makes survive. The state is that of the trainer.
  struct Stage {
    Moment now;
    Seen seen = Seen::nothing;
    std::vector<NamedArray> state;
  };
  void commit(const Moment& now, Seen seen) { commit(Stage{now, seen, trainer_->state()}); }
  void commit(Stage stage);
  void publish(const Checkpoint& checkpoint, bool done);
  void derive_results_anew();
  bool must_be_kept(const Moment& now) const;
  bool commit_due(const Moment& now, bool has_looked) const;
  bool is_committed(const Moment& now, Seen seen) const;
  void stop_here(const Moment& now);
  std::string why_stop();
  void check_finite(const Moment& now, const StepPass& pass);
  void show_progress(const Moment& now, const Evaluation& evaluation);
  void finish();
  void record_failure(const std::string& reason, ExitCode code);
  void write_status(RunState state, const std::string& reason, int code);
  void say_last_words(const std::string& line);

  const Communicator& comm_;
  RunConfiguration& c_;
  const SessionOptions& options_;
  TimerTree timers_;
  Log log_;
  StopFlag stop_;
  Health health_;
  std::string safe_changes_;
  RunDirectory directory_;
  std::optional<RunWriter> writer_;
  std::optional<Trainer> trainer_;
  ProbeSet probes_;
  std::optional<Schedule> observations_;  ///< none: at every evaluation
  Course course_;
  Seen seen_ = Seen::nothing;   ///< of the present moment
  bool was_done_ = false;
  bool is_known_done_ = false;  ///< STATUS says so, and nothing yet says otherwise; on the root
  std::int64_t last_commit_step_ = -1;
  Seen last_commit_seen_ = Seen::nothing;  ///< how much of that moment the commit holds
  bool is_streaming_ = false;  ///< a matrix that a stop may leave unfinished
  double last_commit_at_s_ = 0;
  std::optional<Stage> last_good_;  ///< of the last moment that was looked at, until it is committed
  std::vector<NamedArray> start_;  ///< of training.init_from
  Attributes provenance_;
  Stopwatch watch_;
  Pace pace_;
  std::int64_t first_step_ = 0;
  std::vector<Verdict> verdicts_;
  Attributes progress_;  ///< for STATUS
  Watchdog watchdog_;    ///< last: its thread uses the others
};

/// What every look at the stop flag asks beside signals and time; a look is a sign of life.
std::string Session::why_stop() {
  watchdog_.note();
  if (health_.memory_is_short()) return "memory is short";
  return options_.stop_asked ? options_.stop_asked() : "";
}

void Session::build() {
  const auto timer = timers_.scope("build");
  set_threads(static_cast<int>(c_.limits.threads_per_rank));
  if (comm_.is_root()) log_.open_file(directory_.path() / "log.txt");
  say_first_words();
  comm_.agree([&] {
    c_.task->build_data(c_.training);
    c_.task->build_model(c_.training);
    c_.task->convert(choose_device(c_.training.device, comm_.rank()), parameter_type(c_.training));
    check_tracked_examples(c_.task->data(), c_.gop);
    if (const auto warning = check_storage_limits(c_); !warning.empty()) log_.warn("{}", warning);
    if (c_.gop.enabled) health_.expect_growth(moment_bytes(c_));
  });
  if (c_.training.init_from) initialise();
  c_.task->note_start();
  const auto& parameters = c_.task->model().parameters;
  log_.info("{} training and {} test examples, {} parameters in {} layers", c_.task->data().train.size(),
            c_.task->data().test.size(), parameters.total(), parameters.layers().size());
  directory_.write_data(comm_, data_arrays());
  writer_.emplace(comm_, directory_, log_, writer_options());
  trainer_.emplace(comm_, *c_.task, c_.training, timers_);
  if (const auto& schedule = c_.task->observation_schedule()) observations_.emplace(*schedule, last_in(schedule->unit, *trainer_));
  if (auto mask = mask_of(start_, parameters); !mask.empty()) trainer_->set_mask(std::move(mask));
}

void Session::say_first_words() {
  log_.info("{} on {} rank(s), {} thread(s) each on {} core(s): {}", c_.experiment.name, comm_.size(),
            c_.limits.threads_per_rank, options_.launch.cores_per_rank, directory_.path().string());
  for (const auto& warning : check_launch(options_.launch, comm_.size(), static_cast<int>(c_.limits.threads_per_rank))) {
    log_.warn("{}", warning);
  }
  if (!safe_changes_.empty()) log_.info("changed since the last launch, without an effect on results: {}", safe_changes_);
}

/// Everything that data.h5 holds.
std::vector<NamedArray> Session::data_arrays() const {
  auto arrays = c_.task->data().train.arrays("train");
  for (auto& array : c_.task->data().test.arrays("test")) arrays.push_back(std::move(array));
  for (auto& array : c_.task->extra_data()) arrays.push_back(std::move(array));
  arrays.insert(arrays.end(), start_.begin(), start_.end());
  return arrays;
}

WriterOptions Session::writer_options() {
  WriterOptions options;
  options.panel_bytes = static_cast<std::int64_t>(c_.storage.panel_memory_gb * 1e9);
  options.retention = {static_cast<int>(c_.storage.keep_checkpoints), c_.storage.keep_every, c_.limits.checkpoint_epochs,
                       static_cast<int>(c_.storage.keep_around_t_gen), std::nullopt};
  options.panel_begins = [this] {
    watchdog_.note();
    if (is_streaming_) stop_.poll(comm_);
  };
  options.root_attributes = {{"experiment", c_.experiment.name}, {"loss_reduction", c_.task->loss().definition()},
                             {"normalisation", std::string("1/N")}};
  return options;
}

void Session::initialise() {
  const auto data_file = directory_.path() / "data.h5";
  const bool stored = comm_.broadcast_value(std::int64_t{std::filesystem::exists(data_file)}) != 0;
  comm_.agree([&] {
    if (!stored) {
      start_ = read_start(c_);
      return;
    }
    start_ = read_data(data_file);
    std::erase_if(start_, [](const NamedArray& array) { return !array.name.starts_with("start/"); });
    apply_start(start_, c_.task->model().parameters);
  });
  log_.info("starting from {}", c_.training.init_from->run);
}

void Session::resume() {
  const auto timer = timers_.scope("resume");
  writer_->set_parameters(parameter_rows(c_.task->model().parameters));
  probes_.make({comm_, *c_.task, *writer_, log_, timers_, stop_}, c_, *trainer_);  // first: it brings tracked_ids
  const auto checkpoint = writer_->resume();
  was_done_ = checkpoint && attribute_value<std::int64_t>(checkpoint->cursor, "done") != 0;
  provenance_ = provenance(comm_, options_.launch, options_.arguments);
  if (const auto before = writer_->previous_launch(); checkpoint && before && !was_done_) {
    const auto differences = launch_differences(*before, provenance_);
    if (!differences.empty()) log_.warn("resuming elsewhere, exact only to rounding from here on: {}", join(differences, "; "));
  }
  writer_->set_provenance(provenance_);
  if (checkpoint) restore(*checkpoint);
}

void Session::restore(const Checkpoint& checkpoint) {
  trainer_->load(checkpoint.arrays);
  if (!was_done_) probes_.load(checkpoint.arrays);  // which measures what they compare the next moment with
  seen_ = static_cast<Seen>(attribute_value<std::int64_t>(checkpoint.cursor, "seen"));
  last_commit_step_ = checkpoint.step;
  last_commit_seen_ = seen_;
  first_step_ = trainer_->now().step;
  course_.load(checkpoint.arrays);
  log_.info("resuming at epoch {} (step {})", checkpoint.epoch, checkpoint.step);
}

void Session::train() {
  const auto timer = timers_.scope("train");
  while (true) {
    auto now = trainer_->now();
    now.final = now.final || course_.ends_at(now);
    const bool is_new = seen_ != Seen::everything;
    auto pass = trainer_->backward(is_new && probes_.wants_taps(now) ? Taping::on : Taping::off, stop_);
    check_finite(now, pass);
    if (pass.stop) stop_here(now);
    const bool has_looked = is_new && (log_due(now) || probes_.due(now));
    if (has_looked) look(now, pass);
    if (is_new && commit_due(now, has_looked)) {
      commit(now, Seen::everything);
    } else if (has_looked) {
      last_good_ = Stage{now, Seen::everything, trainer_->state()};
    }
    if (now.final) return;
    seen_ = Seen::nothing;
    trainer_->update();
  }
}

bool Session::log_due(const Moment& now) const {
  const auto& t = c_.training;
  if (now.final || (observations_ && observations_->due(now))) return true;
  if (t.log_unit == "step") return now.step % t.log_interval == 0;
  return now.at_epoch_start() && now.epoch % t.log_interval == 0;
}

void Session::look(const Moment& now, StepPass& pass) {
  const bool is_taped = probes_.wants_taps(now);
  const auto evaluation = trainer_->evaluate(pass);
  if (log_due(now) && seen_ == Seen::nothing) {
    record_evaluation(now, evaluation);
    probes_.evaluated(now, evaluation);
    seen_ = Seen::evaluated;
  }
  if (!is_taped && probes_.wants_taps(now)) {
    // What was evaluated made this moment due, after a pass without taps: the same pass again, with them.
    pass = trainer_->backward(Taping::on, stop_);
    if (pass.stop) stop_here(now);
  }
  // What a matrix of hours follows from is committed before it, so that it is taken up here and not trained for again.
  is_streaming_ = probes_.streams(now);
  if (is_streaming_ && !is_committed(now, seen_)) commit(now, seen_);
  try {
    probes_.measure({now, evaluation, &pass});
  } catch (const StopRequested&) {
    stop_here(now);  // nothing of this measurement is kept: the resumed run makes it whole
  }
  is_streaming_ = false;
}

void Session::record_evaluation(const Moment& now, const Evaluation& e) {
  course_.add(now, e);
  Record record{"training", now.epoch, now.step, {}};
  const auto loss = c_.task->loss().definition();
  record.set({"train_loss", "training loss", "loss", loss}, e.train_loss);
  record.set({"test_loss", "test loss", "loss", loss}, e.test_loss);
  record.set({"train_acc", "training accuracy", "1", "share of training examples answered correctly"}, e.train_acc);
  record.set({"test_acc", "test accuracy", "1", "share of test examples answered correctly"}, e.test_acc);
  record.set({"weight_norm", "norm of all parameters", "parameter", "sqrt of the sum of squares"},
             c_.task->model().parameters.norm());
  writer_->append(record);
  if (!observations_ || observations_->due(now)) observe(now);
  show_progress(now, e);
}

void Session::observe(const Moment& now) {
  const auto timer = timers_.scope("observe");
  Record observables{"observables", now.epoch, now.step, {}};
  c_.task->observe(now, Spread(comm_), observables);
  c_.task->remember(now);
  course_.add(observables);
  if (!observables.measurements.empty()) writer_->append(observables);
}

void Session::show_progress(const Moment& now, const Evaluation& e) {
  const auto total = trainer_->total_steps();
  pace_.add(now.step, watch_.seconds());
  const auto remaining = pace_.remaining(total);
  const auto line = fmt::format("epoch {:>7} step {:>8}/{}  train {:.3e} {:.3f}  test {:.3e} {:.3f}{}", now.epoch, now.step, total,
                                e.train_loss, e.train_acc, e.test_loss, e.test_acc,
                                remaining ? "  " + format_duration(*remaining) + " left" : "");
  log_.progress(line);
  // In files: at most about a hundred lines a run.
  const auto every = std::max<std::int64_t>(1, total / 100);
  const auto before = course_.step_before();
  if (now.final || before < 0 || now.step / every != before / every) log_.info("{}", line);
}

void Session::check_finite(const Moment& now, const StepPass& pass) {
  if (pass.is_finite) return;
  const bool has_good_loss = std::isfinite(pass.loss);
  if (has_good_loss && !(now.step == first_step_ && first_step_ > 0)) last_good_ = Stage{now, seen_, trainer_->state()};
  if (last_good_) commit(std::move(*last_good_));
  UserError error(fmt::format("the training loss is {} at {}{} (training diverged), lower training.lr, add "
                              "training.clip_norm or use training.dtype: float64; the last good state is in {}",
                              pass.loss, now.name(), has_good_loss ? " and its gradient is not finite" : "",
                              directory_.checkpoints().string()));
  error.set_on_all_ranks();
  throw error;
}

/// Checkpoints that another run may start from must be there whatever the clock says.
bool Session::must_be_kept(const Moment& now) const {
  const auto& epochs = c_.limits.checkpoint_epochs;
  if (std::find(epochs.begin(), epochs.end(), now.epoch) != epochs.end()) return true;
  const auto per_epoch = trainer_->steps_per_epoch();
  const auto& t_gen = course_.events().t_gen();
  return t_gen && now.epoch == (t_gen->step + per_epoch - 1) / per_epoch;
}

bool Session::commit_due(const Moment& now, bool has_looked) const {
  if (now.final) return true;
  if (is_committed(now, Seen::everything) || now.step == 0) return false;
  const bool is_epoch = now.at_epoch_start() && now.epoch > 0;
  if (is_epoch && must_be_kept(now)) return true;
  const bool is_regular = is_epoch && now.epoch % c_.limits.checkpoint_frequency == 0;
  if (!is_regular && !has_looked) return false;
  // Commits may cost a hundredth of the time. The root's clock decides for all; nothing that is computed depends on it.
  const double since_last = comm_.broadcast_value(watch_.seconds() - last_commit_at_s_);
  if (since_last < 100 * writer_->last_commit_s()) return false;
  return is_regular || (c_.limits.checkpoint_after_s > 0 && since_last >= c_.limits.checkpoint_after_s);
}

bool Session::is_committed(const Moment& now, Seen seen) const {
  return now.step == last_commit_step_ && seen == last_commit_seen_;
}

void Session::commit(Stage stage) {
  const auto now = stage.now;
  const bool done = now.final && stage.seen == Seen::everything;
  const auto timer = timers_.scope("commit");
  trainer_->agreed_parameter_hash();
  writer_->set_summary("events", course_.event_summary());
  if (done && comm_.is_root()) {
    if (auto results = course_.result_summary(*c_.task, c_.training); !results.empty()) writer_->set_summary("results", std::move(results));
  }
  Checkpoint checkpoint{now.epoch, now.step,
                        {{"seen", static_cast<std::int64_t>(stage.seen)}, {"done", std::int64_t{done}}},
                        std::move(stage.state), now.name() + ".h5"};
  for (auto& array : probes_.state()) checkpoint.arrays.push_back(std::move(array));
  for (auto& array : course_.state(trainer_->steps_per_epoch())) checkpoint.arrays.push_back(std::move(array));
  auto facts = provenance_;
  facts.emplace_back("walltime_s", watch_.seconds());
  writer_->set_provenance(std::move(facts));
  last_good_.reset();
  publish(checkpoint, done);
  last_commit_step_ = now.step;
  last_commit_seen_ = stage.seen;
  last_commit_at_s_ = watch_.seconds();
  write_status(RunState::running, "", 0);
}

/// Results follow from what was observed: those that this program defines otherwise than the one that trained follow again.
void Session::derive_results_anew() {
  comm_.on_root([&] {
    auto results = course_.result_summary(*c_.task, c_.training);
    if (results.empty() || !writer_->redefine_summary("results", std::move(results))) return;
    log_.info("/results are derived anew: this program defines them otherwise than the one that trained");
  });
}

/// Looks at the disk before it writes, and afterwards whether there will be room for what comes until the next commit.
void Session::publish(const Checkpoint& checkpoint, bool done) {
  double bytes = 0;
  for (const auto& array : checkpoint.arrays) bytes += static_cast<double>(array.bytes.size());
  comm_.on_root([&] {
    const auto metrics = directory_.path() / "metrics.h5";
    if (std::filesystem::exists(metrics)) bytes += static_cast<double>(std::filesystem::file_size(metrics));
    health_.require_disk(bytes, "this commit");
    if (const auto& t_gen = course_.events().t_gen()) writer_->keep_around(t_gen->epoch);
  });
  writer_->commit(checkpoint);
  if (done) return;
  comm_.on_root([&] { health_.require_disk(bytes + health_.next_growth(), "what comes until the next commit"); });
}

void Session::stop_here(const Moment& now) {
  stop_.set_agreed();
  const auto reason = stop_.shared_reason(comm_);
  if (!is_streaming_) commit(now, seen_);  // else it stands, and the part of the matrix that is there must not
  comm_.agree([&] { health_.refuse_short_memory(); });
  throw StopRequested(fmt::format("{}: committed {}, run the same command again to go on", reason, now.name()));
}

void Session::write_status(RunState state, const std::string& reason, int code) {
  const auto now = trainer_ ? trainer_->now() : Moment{};
  progress_ = {{"epoch", now.epoch}, {"step", now.step}, {"total_steps", trainer_ ? trainer_->total_steps() : std::int64_t{0}}};
  if (const auto* last = course_.last()) {
    progress_.emplace_back("train_loss", last->train_loss);
    progress_.emplace_back("test_loss", last->test_loss);
  }
  // A run that is done stays so, whatever keeps a later launch from looking at it.
  if (comm_.is_root() && !(is_known_done_ && state != RunState::done)) directory_.write_status({state, reason, code, progress_});
}

/// On the watching thread, while this rank's own is silent. Never throws.
void Session::say_last_words(const std::string& line) {
  try {
    directory_.write_status({RunState::failed, line, static_cast<int>(ExitCode::environment), progress_});
  } catch (const std::exception&) {
    return;  // it stands on stderr already
  }
}

/// Never throws: the error that brought us here matters more than a STATUS that cannot be written.
void Session::record_failure(const std::string& reason, ExitCode code) {
  try {
    if (writer_) writer_->close();  // what is not committed may be what fills the disk
    write_status(RunState::failed, reason, static_cast<int>(code));
  } catch (const std::exception& error) {
    log_.warn("STATUS could not be written: {}", error.what());
  }
}

void Session::finish() {
  comm_.on_root([&] { verdicts_ = compare(c_.expected, directory_.path() / "metrics.h5"); });
  print_summary(comm_, log_, timers_, verdicts_, directory_.path(), c_.task->info().citation, course_.events());
}

SessionResult Session::run() {
  try {
    if (comm_.is_root()) {
      const auto status = read_status(directory_.path());
      is_known_done_ = status && status->state == RunState::done;
    }
    build();
    resume();
    is_known_done_ = is_known_done_ && was_done_;
    if (was_done_) {
      log_.info("this run is complete; use --fresh to train again");
      derive_results_anew();
    } else {
      write_status(RunState::running, "", 0);
      train();
    }
    finish();
    write_status(RunState::done, "", 0);
  } catch (const StopRequested& stop) {
    log_.info("{}", stop.what());
    write_status(RunState::checkpointed, stop.what(), static_cast<int>(stop.code()));
    throw;
  } catch (const std::exception& error) {
    const auto* ours = dynamic_cast<const Error*>(&error);
    record_failure(error.what(), ours ? ours->code() : ExitCode::internal);
    throw;
  }
  probes_.release();
  writer_->close();
  directory_.close();
  return {verdicts_, was_done_};
}

}  // namespace

std::vector<ParameterRow> parameter_rows(const ParameterSet& parameters) {
  std::vector<ParameterRow> rows;
  for (const auto& p : parameters.all()) rows.push_back({p.name, p.layer, p.value.sizes().vec(), p.offset, p.size()});
  return rows;
}

SessionResult run_session(const Communicator& comm, RunConfiguration& configuration, const SessionOptions& options) {
  return Session(comm, configuration, options).run();
}

}  // namespace grokscope
