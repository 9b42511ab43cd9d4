#include "run/analyze.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "probes/gop_probe.hpp"
#include "run/device.hpp"
#include "run/provenance.hpp"

namespace grokscope {
namespace {

std::vector<CheckpointEntry> chosen_checkpoints(const std::filesystem::path& directory,
                                                const std::vector<std::int64_t>& epochs) {
  std::vector<CheckpointEntry> result;
  for (const auto& entry : list_checkpoints(directory)) {
    const bool wanted = epochs.empty() || std::find(epochs.begin(), epochs.end(), entry.epoch) != epochs.end();
    if (wanted && entry.problem.empty()) result.push_back(entry);
  }
  if (result.empty()) {
    throw UserError(fmt::format("{} has no such checkpoint (analysis starts from stored parameters), list them with "
                                "'ls {}'", directory.string(), (directory / "checkpoints").string()));
  }
  return result;
}

}  // namespace

std::filesystem::path run_analysis(const Communicator& comm, RunConfiguration& c, const std::vector<std::int64_t>& epochs,
                                   const std::string& name, const SessionOptions& options) {
  set_threads(static_cast<int>(c.limits.threads_per_rank));
  auto log = comm.is_root() ? Log::speaking(options.verbosity) : Log::silent();
  const auto source = c.run_directory;
  std::vector<CheckpointEntry> checkpoints;
  comm.agree([&] {
    checkpoints = chosen_checkpoints(source, epochs);
    c.task->restore_data(read_data(source / "data.h5"));
    c.task->build_model(c.training);
    c.task->convert(choose_device(c.training.device, comm.rank()), parameter_type(c.training));
  });
  const auto target = source / "analysis" / name;
  const RunIdentity identity{c.fingerprint, resolved_yaml(c.schemas), resolved_json(c.schemas), c.input_text};
  // An analysis is cheap to repeat and has no state of its own: it is always written anew.
  auto directory = RunDirectory::open(comm, target, identity,
                                      std::filesystem::exists(target / "config.json") ? OpenMode::fresh : OpenMode::resume,
                                      [](const std::string&) { return std::string(); });
  RunWriter writer(comm, directory, log);
  writer.set_parameters(parameter_rows(c.task->model().parameters));
  writer.resume();
  writer.set_provenance(provenance(comm, options.launch, options.arguments));
  TimerTree timers;
  StopFlag stop(options.max_time_s);
  Trainer trainer(comm, *c.task, c.training, timers);
  GopProbe probe({comm, *c.task, writer, log, timers, stop}, c.gop, c.storage, c.training, trainer.total_steps(), false,
                 c.limits.memory_per_rank_gb);
  for (const auto& entry : checkpoints) {
    Checkpoint checkpoint;
    comm.agree([&] { checkpoint = read_checkpoint(entry.path); });
    trainer.load(checkpoint.arrays);
    const auto now = trainer.now();
    auto pass = trainer.backward(Taping::off, stop);
    const auto evaluation = trainer.evaluate(pass);
    probe.measure({now, evaluation, nullptr});
    log.info("measured {}", now.name());
    writer.commit({now.epoch, now.step, {}, {}, now.name() + ".h5"});
  }
  if (comm.is_root()) directory.write_status({RunState::done, "", 0, {}});
  probe.release();
  writer.close();
  directory.close();
  log.info("files: {}", (target / "metrics.h5").string());
  return target;
}

}  // namespace grokscope
