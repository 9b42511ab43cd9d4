#include "run/configuration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "config/assign.hpp"
#include "config/document.hpp"
#include "config/override.hpp"
#include "run/expected.hpp"

namespace grokscope {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::unique_ptr<RunConfiguration> declared(const Experiment& experiment, std::span<const ProbeKind> probes) {
  auto configuration = std::make_unique<RunConfiguration>();
  auto& c = *configuration;
  c.task = experiment.make();
  c.experiment.name = experiment.info.name;
  c.experiment.declare(c.schemas.section("experiment"));
  c.schemas.section("model");
  c.schemas.section("data");
  c.task->declare(c.schemas);
  c.training.declare(c.schemas.section("training"));
  c.gop.declare(c.schemas.section("gop_tracking"));
  c.storage.declare(c.schemas.section("storage"));
  c.limits.declare(c.schemas.section("computational_limits"));
  for (const auto& kind : probes) {
    c.probes.push_back(kind.make());
    c.probes.back()->declare(c.schemas.section("probes." + kind.name));
  }
  c.schemas.section("").add("expected", c.expected, "claims that the end of the run is compared with").not_scientific();
  return configuration;
}

/// Problems that need more than one key.
void check_together(const Node& root, const RunConfiguration& c) {
  Problems problems{root};
  if (c.training.steps && find_path(root, "training.epochs") != nullptr) {
    problems.add("training.steps", "both steps and epochs are given", "they say the same thing", "remove one of them");
  }
  if (const auto& stop = c.training.stop_when; stop && !stop->above && !stop->below) {
    problems.add("training.stop_when", "neither above nor below is given", "the run would never be stopped", "give one of them");
  }
  if (c.training.device == "cuda" && !at::hasCUDA()) {
    problems.add("training.device", "cuda is not to be had here", "this LibTorch has no CUDA or the machine no GPU",
                 "use cpu or auto");
  }
  if (const auto& schedule = c.task->observation_schedule(); schedule && schedule->kind == "adaptive") {
    problems.add("observables.schedule.kind", "adaptive is not to be had here",
                 "observables of earlier moments are never made after the fact", "use every, log or list");
  }
  if (c.storage.stores() && c.gop.definitions.front() != "second_moment") {
    problems.add("gop_tracking.definitions", c.gop.definitions.front() + " comes first and matrices are to be stored",
                 "stored matrices and factors are those of the second moment, and would not have the eigenvalues beside them",
                 "put second_moment first: the spectra of the others stand in /definitions");
  }
  check_expectations(c.expected, {}, problems);
  c.task->check(c.training, problems);
  problems.throw_if_any();
}

std::unique_ptr<RunConfiguration> load(const std::filesystem::path& file, std::span<const std::string> overrides,
                                       Experiments experiments) {
  auto root = load_document(file);
  for (const auto& text : overrides) apply_override(root, text);
  auto configuration = configuration_of(root, file, experiments);
  configuration->input_text = read_file(file);
  return configuration;
}

}  // namespace

std::filesystem::path default_directory(const std::filesystem::path& file, const std::string& suffix) {
  std::filesystem::path below;
  bool inside = false;
  for (const auto& part : file.lexically_normal()) {
    if (inside) below /= part;
    if (part == "configs") {
      inside = true;
      below.clear();
    }
  }
  if (!inside) below = file.filename();
  return std::filesystem::path("results") / below.parent_path() / (below.stem().string() + suffix);
}

std::unique_ptr<RunConfiguration> configuration_of(const Node& root, const std::filesystem::path& file,
                                                   Experiments experiments) {
  const auto* name = find_path(root, "experiment.name");
  if (name == nullptr || !name->is_scalar()) {
    throw UserError(fmt::format("{}: experiment.name is missing (it says which paper is trained), add it; 'grokscope list' "
                                "names the experiments", file.string()));
  }
  const auto known = [&](const Experiment& e) { return e.info.name == name->scalar; };
  if (std::none_of(experiments.begin(), experiments.end(), known)) {
    std::vector<std::string> names;
    for (const auto& e : experiments) names.push_back(e.info.name);
    const auto nearest = nearest_word(name->scalar, names);
    throw UserError(fmt::format("{}: experiment.name: '{}' is not an experiment{}, 'grokscope list' names them",
                                name->mark.text(), name->scalar,
                                nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest)));
  }
  auto configuration = declared(find_experiment(name->scalar, experiments), experiments.probes());
  assign(root, configuration->schemas);
  check_together(root, *configuration);
  configuration->experiments = experiments;
  if (const auto& start = configuration->training.init_from) configuration->init_run = start->run;
  configuration->fingerprint = hex(fingerprint(configuration->schemas));
  return configuration;
}

const Experiment& find_experiment(const std::string& name, Experiments experiments) {
  for (const auto& experiment : experiments) {
    if (experiment.info.name == name) return experiment;
  }
  std::vector<std::string> names;
  for (const auto& e : experiments) names.push_back(e.info.name);
  const auto nearest = nearest_word(name, names);
  throw UserError(fmt::format("'{}' is not an experiment{}, 'grokscope list' names them", name,
                              nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest)));
}

std::unique_ptr<RunConfiguration> load_configuration(const std::filesystem::path& file,
                                                     std::span<const std::string> overrides, Experiments experiments) {
  auto configuration = load(file, overrides, experiments);
  const auto& wanted = configuration->storage.output_dir;
  configuration->run_directory =
      wanted == "auto" ? default_directory(file, overrides_suffix(overrides, configuration->schemas))
                       : std::filesystem::path(wanted);
  return configuration;
}

std::unique_ptr<RunConfiguration> load_run(const std::filesystem::path& run_directory,
                                           std::span<const std::string> overrides, Experiments experiments) {
  const auto file = run_directory / "config.yaml";
  if (!std::filesystem::exists(file)) {
    throw UserError(fmt::format("{} is not a run directory (it has no config.yaml), name one that 'grokscope run' wrote",
                                run_directory.string()));
  }
  auto configuration = load(file, overrides, experiments);
  configuration->run_directory = run_directory;
  return configuration;
}

std::unique_ptr<RunConfiguration> default_configuration(const std::string& name, Experiments experiments) {
  return declared(find_experiment(name, experiments), experiments.probes());
}

}  // namespace grokscope
