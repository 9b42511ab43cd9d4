// What does this configuration file, with these overrides, ask for?
// Joins the YAML document, the experiment it names and the schemas of everybody who has keys.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/resolved.hpp"
#include "probes/gop_options.hpp"
#include "probes/probe.hpp"
#include "run/options.hpp"
#include "train/task.hpp"

namespace grokscope {

/// What this program knows, handed in by main: its experiments, in order, and probes beside ours. Both must outlive it.
class Experiments {
 public:
  Experiments() = default;
  Experiments(std::span<const Experiment> all, std::span<const ProbeKind> probes) : all_(all), probes_(probes) {}
  Experiments(const std::vector<Experiment>& all) : all_(all) {}

  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }
  std::span<const ProbeKind> probes() const { return probes_; }

 private:
  std::span<const Experiment> all_;
  std::span<const ProbeKind> probes_;
};

/// All options of one run. Stays in place: the schemas point into it.
struct RunConfiguration {
  ExperimentOptions experiment;
  TrainingOptions training;
  GopTrackingOptions gop;
  StorageOptions storage;
  LimitOptions limits;
  std::vector<std::unique_ptr<ProbeOptions>> probes;  ///< those that the program brings along
  std::vector<Expectation> expected;
  std::unique_ptr<Task> task;
  Schemas schemas;
  Experiments experiments;
  std::filesystem::path run_directory;
  std::filesystem::path init_run;  ///< the run directory that training.init_from means
  std::string input_text;
  std::string fingerprint;
};

/// Reads, overrides, checks and resolves; builds nothing yet. Throws one UserError with every problem. Local.
std::unique_ptr<RunConfiguration> load_configuration(const std::filesystem::path& file,
                                                     std::span<const std::string> overrides, Experiments experiments);

/// The same for a document that was read already, without a run directory; `file` names it in messages.
std::unique_ptr<RunConfiguration> configuration_of(const Node& document, const std::filesystem::path& file,
                                                   Experiments experiments);

/// results/ and the path of a configuration below configs/, without .yaml, with a suffix.
std::filesystem::path default_directory(const std::filesystem::path& file, const std::string& suffix);

/// The same for the config.yaml of a run directory.
std::unique_ptr<RunConfiguration> load_run(const std::filesystem::path& run_directory,
                                           std::span<const std::string> overrides, Experiments experiments);

/// All keys of an experiment with their defaults, for `describe`.
std::unique_ptr<RunConfiguration> default_configuration(const std::string& name, Experiments experiments);

const Experiment& find_experiment(const std::string& name, Experiments experiments);

}  // namespace grokscope
