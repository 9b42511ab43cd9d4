#include "commands/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <optional>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "comm/stop.hpp"
#include "commands/describe.hpp"
#include "config/override.hpp"
#include "run/analyze.hpp"
#include "run/export.hpp"
#include "run/plan.hpp"
#include "run/provenance.hpp"
#include "run/session.hpp"
#include "study/reproduce.hpp"
#include "study/study.hpp"
#include "study/study_plan.hpp"

namespace grokscope {
namespace {

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  std::vector<std::int64_t> epochs;
  std::string name;
  std::string max_time;
  std::string verbosity = "normal";
  ReproduceOptions reproduce;
  bool fresh = false;
  std::string ranks = "1";
  PlanRequest plan;
  double latency_us = 2;
  double bandwidth_gbs = 5;
  std::int64_t epoch = -1;
  std::string rows, cols, layer, output;
  bool merge = false;
};

Verbosity verbosity_of(const std::string& name) {
  return name == "quiet" ? Verbosity::quiet : name == "debug" ? Verbosity::debug : Verbosity::normal;
}

/// Commands that need no peers print and return.
int local_command(const std::function<std::string()>& make_text) {
  try {
    fmt::print("{}", make_text());
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "grokscope: {}\n", error.what());
    return static_cast<int>(error.code());
  }
}

/// Runs `work` on every rank. An error that all ranks share is printed once; any other ends the job.
int parallel_command(int argc, char** argv, const std::function<int(const Communicator&)>& work) {
  const auto launch = read_launch_info();
  std::optional<MpiEnvironment> mpi;
  try {
    check_launcher(launch);
    mpi.emplace(&argc, &argv);
  } catch (const Error& error) {
    if (launch.rank == 0) fmt::print(stderr, "grokscope: {}\n", error.what());
    return static_cast<int>(error.code());
  }
  int code = 0;
  try {
    const auto world = mpi->world();
    try {
      code = work(world);
    } catch (const Error& error) {
      if (!error.on_all_ranks() && world.size() > 1) throw;
      if (world.is_root() && error.code() != ExitCode::requeue) fmt::print(stderr, "grokscope: {}\n", error.what());
      code = static_cast<int>(error.code());
    }
  } catch (const Error& error) {
    MpiEnvironment::abort(error.what(), error.code());
  } catch (const std::exception& error) {
    MpiEnvironment::abort(fmt::format("unexpected: {} (a bug in grokscope, please report it)", error.what()),
                          ExitCode::internal);
  }
  mpi->finalize();
  return code;
}

PlanRequest plan_request(const Arguments& a) {
  auto request = a.plan;
  parse_ranks(a.ranks, request);
  request.rates.latency_s = a.latency_us * 1e-6;
  request.rates.network_bytes = a.bandwidth_gbs * 1e9;
  return request;
}

SessionOptions session_options(const Arguments& a, int argc, char** argv) {
  SessionOptions options;
  options.fresh = a.fresh;
  if (!a.max_time.empty()) options.max_time_s = parse_duration(a.max_time);
  options.verbosity = verbosity_of(a.verbosity);
  options.arguments.assign(argv, argv + argc);
  options.launch = read_launch_info();
  return options;
}

int run_run(const Communicator& world, const Arguments& a, const SessionOptions& options, Experiments experiments) {
  std::unique_ptr<RunConfiguration> configuration;
  std::unique_ptr<StudyConfiguration> study;
  world.agree([&] {
    check_launch(options.launch, world.size(), 1);
    if (is_study(a.config)) {
      study = load_study(a.config, a.overrides, experiments);
    } else {
      configuration = load_configuration(a.config, a.overrides, experiments);
    }
  });
  const SignalWatch signals;
  if (configuration) {
    run_session(world, *configuration, options);
    return 0;
  }
  const auto result = run_study(world, *study, options);
  if (!result.problem.empty()) throw_error(result.code, result.problem, true);
  return 0;
}

int run_reproduce(const Communicator& world, const Arguments& a, const SessionOptions& options, Experiments experiments) {
  world.agree([&] { check_launch(options.launch, world.size(), 1); });
  const SignalWatch signals;
  return static_cast<int>(run_reproduction(world, a.reproduce, options, experiments));
}

int run_analyze(const Communicator& world, const Arguments& a, const SessionOptions& options, Experiments experiments) {
  std::unique_ptr<RunConfiguration> configuration;
  world.agree([&] { configuration = load_run(a.config, a.overrides, experiments); });
  const SignalWatch signals;
  const auto suffix = overrides_suffix(a.overrides, configuration->schemas);
  run_analysis(world, *configuration, a.epochs, a.name.empty() ? "gop" + suffix : a.name, options);
  return 0;
}

int run_export_command(const Communicator& world, const Arguments& a, const SessionOptions& options, Experiments experiments) {
  if (a.merge) {
    const auto folder = merge_views(world, a.config);
    if (world.is_root()) fmt::print("plain files: {}\n", folder.string());
    return 0;
  }
  std::unique_ptr<RunConfiguration> configuration;
  ExportRequest request{fmt::format("epoch_{}", a.epoch), a.layer, {}, {}, a.output};
  world.agree([&] {
    if (a.epoch < 0) throw UserError("export does not know which GOP to rebuild, give it --epoch E (or --merge)");
    configuration = load_run(a.config, a.overrides, experiments);
    if (!a.rows.empty()) request.rows = parse_range(a.rows);
    if (!a.cols.empty()) request.cols = parse_range(a.cols);
  });
  run_export(world, *configuration, request, options);
  return 0;
}

}  // namespace

int run_command_line(int argc, char** argv, Experiments experiments) {
  CLI::App app{"grokscope: exact spectra of gradient outer products while a model learns"};
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 a bug of ours, 2 user error, 3 environment, 75 checkpointed and asking to be requeued.");
  Arguments a;
  const auto add_verbosity = [&](CLI::App* command) {
    command->add_option("--verbosity", a.verbosity, "quiet, normal or debug")
        ->check(CLI::IsMember({"quiet", "normal", "debug"}));
  };
  const char* overrides_help = "overrides: training.lr=0.02 (any key of 'grokscope describe')";

  auto* run = app.add_subcommand("run", "Trains, tracks, writes. The same command again resumes.");
  run->add_option("config", a.config, "configuration (YAML)")->required();
  run->add_option("overrides", a.overrides, overrides_help);
  run->add_flag("--fresh", a.fresh, "start again: deletes what grokscope wrote in the run directory");
  run->add_option("--max-time", a.max_time, "checkpoint and leave with code 75 after this time (90s, 2h, HH:MM:SS)");
  add_verbosity(run);

  auto* check = app.add_subcommand("check", "Validates a configuration and prints the plan. Needs no MPI.");
  check->add_option("config", a.config, "configuration (YAML)")->required();
  check->add_option("overrides", a.overrides, overrides_help);
  check->add_option("--ranks", a.ranks, "plan for this many ranks; 1:1024 adds a table of 1, 2, 4, ... ranks");
  check->add_option("--latency-us", a.latency_us, "of the network, for the estimate of time (default 2)")->check(CLI::NonNegativeNumber);
  check->add_option("--bandwidth-gbs", a.bandwidth_gbs, "of the network between two ranks, in GB/s (default 5)")
      ->check(CLI::PositiveNumber);
  check->add_flag("!--no-calibration", a.plan.calibrate, "estimate from the rates of a reference machine; measure nothing");

  auto* analyze = app.add_subcommand("analyze", "Measures again from stored checkpoints, on any rank count.");
  analyze->add_option("run_dir", a.config, "a run directory")->required();
  analyze->add_option("overrides", a.overrides, "overrides, such as gop_tracking.definitions=[covariance]");
  analyze->add_option("--epochs", a.epochs, "only these checkpoints, as 0,1000 (default: all)")
      ->delimiter(',')->allow_extra_args(false);
  analyze->add_option("--name", a.name, "folder below RUN_DIR/analysis (default: gop and the overrides)");
  add_verbosity(analyze);

  auto* export_command = app.add_subcommand("export", "Rebuilds a dense GOP, or a block of one, from factors or a checkpoint.");
  export_command->add_option("run_dir", a.config, "a run directory")->required();
  export_command->add_option("overrides", a.overrides, "overrides, such as storage.float_precision=float32");
  export_command->add_option("--epoch", a.epoch, "which epoch");
  export_command->add_option("--rows", a.rows, "a:b, as numpy counts; default: all");
  export_command->add_option("--cols", a.cols, "c:d; default: all");
  export_command->add_option("--layer", a.layer, "this layer's GOP instead of that of all parameters");
  export_command->add_option("-o,--output", a.output, "file (default: below RUN_DIR/export)");
  export_command->add_flag("--merge", a.merge, "instead: the run's files with their external links replaced by the data");
  add_verbosity(export_command);

  auto* reproduce = app.add_subcommand("reproduce", "Runs the papers' configurations and compares with their claims.");
  reproduce->add_option("numbers", a.reproduce.numbers, "papers, as 03 09 (default: all)");
  reproduce->add_flag("--quick", a.reproduce.quick, "the configurations of configs/quick: minutes in place of hours");
  reproduce->add_option("--configs", a.reproduce.configs, "where the configurations are (default: configs)");
  reproduce->add_flag("--fresh", a.fresh, "start every run again");
  reproduce->add_option("--max-time", a.max_time, "checkpoint and leave with code 75 after this time (90s, 2h, HH:MM:SS)");
  add_verbosity(reproduce);

  auto* list = app.add_subcommand("list", "Names the experiments.");
  auto* describe = app.add_subcommand("describe", "Every key of an experiment, or of a study: type, unit, default, range, meaning.");
  describe->add_option("name", a.name, "an experiment, or study")->required();
  auto* version = app.add_subcommand("version", "Versions of this build and its libraries.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::user);
  }
  if (*list) return local_command([&] { return list_text(experiments); });
  if (*describe) {
    return local_command([&] {
      return a.name == "study" ? describe_study_text() : describe_text(a.name, experiments);
    });
  }
  if (*version) return local_command([] { return version_text() + "\n"; });
  if (*check) {
    return local_command([&] {
      const auto request = plan_request(a);
      if (is_study(a.config)) return plan_text(*load_study(a.config, a.overrides, experiments), request);
      return make_plan(*load_configuration(a.config, a.overrides, experiments), request).text;
    });
  }
  return parallel_command(argc, argv, [&](const Communicator& world) {
    SessionOptions options;
    world.agree([&] { options = session_options(a, argc, argv); });
    if (*run) return run_run(world, a, options, experiments);
    if (*reproduce) return run_reproduce(world, a, options, experiments);
    if (*export_command) return run_export_command(world, a, options, experiments);
    return run_analyze(world, a, options, experiments);
  });
}

}  // namespace grokscope
