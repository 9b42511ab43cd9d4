#include "commands/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <new>
#include <optional>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "comm/stop.hpp"
#include "commands/describe.hpp"
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
  std::int64_t step = -1;
  std::string rows, cols, layer, output;
  bool merge = false;
};

Verbosity verbosity_of(const std::string& name) {
  return name == "quiet" ? Verbosity::quiet : name == "debug" ? Verbosity::debug : Verbosity::normal;
}

/// What is said of an error, and the code that the program leaves with.
struct Ending {
  std::string text;
  ExitCode code = ExitCode::internal;
};

Ending ending_of(const std::exception& error) {
  std::string text = error.what();
  for (const char* stack : {"\nException raised from", "\nframe #"}) text = text.substr(0, text.find(stack));  // of LibTorch
  if (const auto* ours = dynamic_cast<const Error*>(&error)) return {text, ours->code()};
  if (dynamic_cast<const std::filesystem::filesystem_error*>(&error) != nullptr) {
    return {text + " (the file system refused), check the path, its permissions and the free space", ExitCode::environment};
  }
  const bool is_out_of_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                                text.find("allocate memory") != std::string::npos;
  if (is_out_of_memory) return {fmt::format("out of memory ({}), ask for less or give it more", text)};
  return {fmt::format("unexpected: {} (a bug in grokscope, please report it)", text)};
}

/// Commands that need no peers print and return.
int local_command(const std::function<std::string()>& make_text) {
  fmt::print("{}", make_text());
  return 0;
}

/// Runs `work` on every rank. An error that all ranks share is printed once; any other ends the job.
int parallel_command(int argc, char** argv, const std::function<int(const Communicator&)>& work) {
  const auto launch = read_launch_info();
  std::optional<MpiEnvironment> mpi;
  try {
    check_launcher(launch);
    mpi.emplace(&argc, &argv);
  } catch (const std::exception& error) {
    const auto ending = ending_of(error);
    if (launch.rank == 0) fmt::print(stderr, "grokscope: {}\n", ending.text);
    return static_cast<int>(ending.code);
  }
  int code = 0;
  try {
    const auto world = mpi->world();
    try {
      code = work(world);
    } catch (const Error& error) {
      if (!error.on_all_ranks() && world.size() > 1) throw;
      if (world.is_root() && error.code() != ExitCode::requeue) report_failure(error);
      code = static_cast<int>(error.code());
    }
  } catch (const std::exception& error) {
    const auto ending = ending_of(error);
    MpiEnvironment::abort(ending.text, ending.code);
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
  std::string name;
  world.agree([&] {
    check_launch(options.launch, world.size(), 1);
    std::vector<std::string> overrides{"gop_tracking.enabled=true"};  // a run may have trained without looking
    overrides.insert(overrides.end(), a.overrides.begin(), a.overrides.end());
    configuration = load_run(a.config, overrides, experiments);
    name = a.name.empty() ? analysis_name(a.overrides, a.epochs, configuration->schemas) : a.name;
  });
  const SignalWatch signals;
  run_analysis(world, *configuration, a.epochs, name, options);
  return 0;
}

std::string moment_name(const Arguments& a) {
  if (a.epoch < 0) throw UserError("export does not know which GOP to rebuild, give it --epoch E (or --merge)");
  return a.step < 0 ? fmt::format("epoch_{}", a.epoch) : fmt::format("epoch_{}_step_{}", a.epoch, a.step);
}

int run_export_command(const Communicator& world, const Arguments& a, const SessionOptions& options, Experiments experiments) {
  const SignalWatch signals;
  world.agree([&] { check_launch(options.launch, world.size(), 1); });
  if (a.merge) {
    const auto folder = merge_views(world, a.config, options);
    if (world.is_root()) fmt::print("plain files: {}\n", folder.string());
    return 0;
  }
  std::unique_ptr<RunConfiguration> configuration;
  ExportRequest request{{}, a.layer, {}, {}, a.output};
  world.agree([&] {
    request.moment = moment_name(a);
    configuration = load_run(a.config, a.overrides, experiments);
    if (!a.rows.empty()) request.rows = parse_range(a.rows);
    if (!a.cols.empty()) request.cols = parse_range(a.cols);
  });
  run_export(world, *configuration, request, options);
  return 0;
}

/// Says what argv asks for, and does it.
int run_command(int argc, char** argv, Experiments experiments) {
  CLI::App app{"grokscope: exact spectra of gradient outer products while a model learns"};
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 a bug of ours, 2 user error, 3 environment, 75 checkpointed and asking to be requeued.");
  Arguments a;
  const auto add_verbosity = [&](CLI::App* command) {
    command->add_option("--verbosity", a.verbosity, "quiet, normal or debug")
        ->check(CLI::IsMember({"quiet", "normal", "debug"}));
  };
  const auto add_max_time = [&](CLI::App* command) {
    command->add_option("--max-time", a.max_time, "checkpoint and leave with code 75 after this time (90s, 2h, HH:MM:SS)");
  };
  const char* overrides_help = "overrides: training.lr=0.02 (any key of 'grokscope describe')";

  auto* run = app.add_subcommand("run", "Trains, tracks, writes. The same command again resumes.");
  run->add_option("config", a.config, "configuration (YAML)")->required();
  run->add_option("overrides", a.overrides, overrides_help);
  run->add_flag("--fresh", a.fresh, "start again: deletes what grokscope wrote in the run directory");
  add_max_time(run);
  add_verbosity(run);

  auto* check = app.add_subcommand("check", "Validates a configuration and prints the plan. Needs no MPI.");
  check->add_option("config", a.config, "configuration (YAML)")->required();
  check->add_option("overrides", a.overrides, overrides_help);
  check->add_option("--ranks", a.ranks, "plan for this many ranks; 1:1024 adds a table of 1, 2, 4, ... ranks");
  check->add_option("--latency-us", a.latency_us, "of the network, for the estimate of time (default 2)")->check(CLI::NonNegativeNumber);
  check->add_option("--bandwidth-gbs", a.bandwidth_gbs, "of the network between two ranks, in GB/s (default 5)")
      ->check(CLI::PositiveNumber);
  check->add_flag("!--no-calibration", a.plan.calibrate, "estimate from the rates of a reference machine; measure nothing");

  auto* analyze = app.add_subcommand("analyze", "Measures again from stored checkpoints, on any rank count. The same "
                                               "command again goes on.");
  analyze->add_option("run_dir", a.config, "a run directory")->required();
  analyze->add_option("overrides", a.overrides, "overrides, such as gop_tracking.definitions=[covariance]");
  analyze->add_option("--epochs", a.epochs, "only these checkpoints, as 0,1000 (default: all)")
      ->delimiter(',')->allow_extra_args(false);
  analyze->add_option("--name", a.name, "folder below RUN_DIR/analysis (default: gop, the overrides and the epochs)");
  analyze->add_flag("--fresh", a.fresh, "start again: deletes what an analysis of that name has measured");
  add_max_time(analyze);
  add_verbosity(analyze);

  auto* export_command = app.add_subcommand("export", "Rebuilds a dense GOP, or a block of one, from factors or a checkpoint.");
  export_command->add_option("run_dir", a.config, "a run directory")->required();
  export_command->add_option("overrides", a.overrides, "overrides, such as storage.float_precision=float32");
  export_command->add_option("--epoch", a.epoch, "which epoch");
  export_command->add_option("--step", a.step, "the moment at this step within that epoch (default: where the epoch begins)");
  export_command->add_option("--rows", a.rows, "a:b, as numpy's slices: 256:, :-1; default: all");
  export_command->add_option("--cols", a.cols, "c:d; default: all");
  export_command->add_option("--layer", a.layer, "this layer's GOP instead of that of all parameters");
  export_command->add_option("-o,--output", a.output, "file (default: below RUN_DIR/export)");
  export_command->add_flag("--merge", a.merge, "instead: the run's files with their external links replaced by the data");
  add_max_time(export_command);
  add_verbosity(export_command);

  auto* reproduce = app.add_subcommand("reproduce", "Runs the papers' configurations and compares with their claims.");
  reproduce->add_option("numbers", a.reproduce.numbers, "papers, as 03 09 (default: all)");
  reproduce->add_flag("--quick", a.reproduce.quick, "the configurations of configs/quick: minutes in place of hours");
  reproduce->add_option("--configs", a.reproduce.configs, "where the configurations are (default: configs)");
  reproduce->add_flag("--fresh", a.fresh, "start every run again");
  add_max_time(reproduce);
  add_verbosity(reproduce);

  auto* list = app.add_subcommand("list", "Names the experiments.");
  auto* describe = app.add_subcommand("describe", "Every key of an experiment, or of a study: type, unit, default, range, meaning.");
  describe->add_option("name", a.name, "an experiment, or study")->required();
  app.set_version_flag("--version", [] { return version_text(); }, "the same as the command version");
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

}  // namespace

int report_failure(const std::exception& error) {
  const auto ending = ending_of(error);
  fmt::print(stderr, "grokscope: {}\n", ending.text);
  return static_cast<int>(ending.code);
}

int run_command_line(int argc, char** argv, Experiments experiments) {
  try {
    return run_command(argc, argv, experiments);
  } catch (const std::exception& error) {
    return report_failure(error);
  }
}

}  // namespace grokscope
