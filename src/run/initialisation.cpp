#include "run/initialisation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "io/checkpoint.hpp"
#include "io/column_file.hpp"
#include "io/run_directory.hpp"
#include "train/weight_mask.hpp"

namespace grokscope {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& why, const std::string& fix) {
  throw UserError(fmt::format("training.init_from: {} ({}), {}", what, why, fix));
}

void check_source(const std::filesystem::path& run) {
  if (run.string().starts_with("member:")) {
    refuse(fmt::format("'{}' names a member", run.string()), "only a study has members",
           "give the path of a run directory, or run the study");
  }
  if (!std::filesystem::exists(run / "config.yaml")) {
    refuse(run.string() + " is not a run directory", "it has no config.yaml",
           "name one that 'grokscope run' wrote");
  }
}

/// theta_0 of another run: no checkpoint holds it, but its configuration makes it again.
std::vector<NamedArray> initial_parameters(const std::filesystem::path& run, Experiments experiments) {
  const auto other = load_run(run, {}, experiments);
  other->task->build_model(other->training);
  auto& parameters = other->task->model().parameters;
  parameters.convert(at::kCPU, parameter_type(other->training));
  if (other->training.init_from) apply_start(read_data(run / "data.h5"), parameters);
  std::vector<NamedArray> arrays;
  for (const auto& p : parameters.all()) arrays.push_back(to_named_array("parameters/" + p.name, p.value));
  return arrays;
}

/// When the run generalised.
Moment generalisation(const std::filesystem::path& run) {
  const auto metrics = run / "metrics.h5";
  const auto event = [&](const std::string& name) {
    return std::filesystem::exists(metrics) ? read_numbers(metrics, name).front() : kMissing;
  };
  const double step = event("events/t_gen_step");
  if (std::isnan(step)) {
    refuse(run.string() + " has not generalised", "epoch: t_gen needs the event",
           "name another epoch or train longer");
  }
  return {static_cast<std::int64_t>(event("events/t_gen_epoch")), static_cast<std::int64_t>(step), 0, false};
}

/// Checkpoints between two steps of an epoch are left out: only a stop makes them.
std::vector<CheckpointEntry> usable_checkpoints(const std::filesystem::path& run) {
  auto entries = list_checkpoints(run);
  std::erase_if(entries, [](const CheckpointEntry& entry) {
    return !entry.problem.empty() || entry.path.filename() != fmt::format("epoch_{}.h5", entry.epoch);
  });
  return entries;
}

std::filesystem::path last_checkpoint(const std::filesystem::path& run) {
  const auto status = read_status(run);
  if (!status || status->state != RunState::done) {
    refuse(run.string() + " has not ended", "its last checkpoint is not known yet",
           "finish it first or name an epoch");
  }
  auto entries = list_checkpoints(run);
  std::erase_if(entries, [](const CheckpointEntry& entry) { return !entry.problem.empty(); });
  if (entries.empty())
    refuse(run.string() + " has no checkpoint", "they were deleted", "train it again with --fresh");
  return entries.back().path;
}

[[noreturn]] void refuse_epoch(const std::filesystem::path& run, const std::string& what,
                               const std::vector<CheckpointEntry>& entries) {
  std::vector<std::string> epochs;
  for (const auto& entry : entries) epochs.push_back(std::to_string(entry.epoch));
  refuse(fmt::format("{} has no checkpoint {}", run.string(), what),
         epochs.empty() ? "it has none" : "it has those of epochs " + join(epochs, ", "),
         "name one of these, or train it again with that epoch in computational_limits.checkpoint_epochs");
}

/// The arrays parameters/<name> of a checkpoint.
std::vector<NamedArray> parameters_at(const RunConfiguration& c, const CheckpointChoice& choice) {
  const auto& run = c.init_run;
  const auto entries = usable_checkpoints(run);
  const bool at_event = choice.kind == CheckpointChoice::Kind::t_gen;
  const auto event = at_event ? generalisation(run) : Moment{};
  // A run commits the first epoch at or after the event, unless storage.keep_checkpoints has removed it since.
  const auto fits = [&](const CheckpointEntry& e) {
    return at_event ? e.step >= event.step && e.epoch <= event.epoch + 1 : e.epoch == choice.epoch;
  };
  std::filesystem::path path;
  if (choice.kind == CheckpointChoice::Kind::last) {
    path = last_checkpoint(run);
  } else if (const auto found = std::find_if(entries.begin(), entries.end(), fits);
             at_event ? event.step == 0 : choice.epoch == 0 && found == entries.end()) {
    return initial_parameters(run, c.experiments);
  } else if (found == entries.end()) {
    refuse_epoch(run, at_event ? "where it generalised" : fmt::format("of epoch {}", choice.epoch), entries);
  } else {
    path = found->path;
  }
  auto arrays = read_checkpoint(path).arrays;
  std::erase_if(arrays, [](const NamedArray& array) { return !array.name.starts_with("parameters/"); });
  return arrays;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("{}", fmt::join(shape, " x "));
}

/// Names every parameter in which two models differ.
void check_same_model(std::span<const NamedArray> arrays, const ParameterSet& parameters,
                      const std::filesystem::path& run) {
  std::vector<std::string> differences;
  for (const auto& p : parameters.all()) {
    const auto* other = find_array_if_present(arrays, "parameters/" + p.name);
    if (other == nullptr) {
      differences.push_back(p.name + " is missing there");
    } else if (other->shape != p.value.sizes().vec()) {
      differences.push_back(fmt::format("{} is {} there and {} here", p.name, shape_text(other->shape),
                                        shape_text(p.value.sizes().vec())));
    }
  }
  for (const auto& array : arrays) {
    const auto name = array.name.substr(array.name.find('/') + 1);
    const auto same = [&](const Parameter& p) { return p.name == name; };
    if (std::none_of(parameters.all().begin(), parameters.all().end(), same)) {
      differences.push_back(name + " is there only");
    }
  }
  if (differences.empty()) return;
  refuse(run.string() + " has another model", join(differences, "; "), "give both runs the same model");
}

}  // namespace

std::vector<NamedArray> read_start(const RunConfiguration& c) {
  const auto& options = *c.training.init_from;
  const auto& parameters = c.task->model().parameters;
  check_source(c.init_run);
  const auto values = parameters_at(c, options.epoch);
  check_same_model(values, parameters, c.init_run);
  {
    at::NoGradGuard no_grad;
    for (const auto& p : parameters.all()) {
      auto value = p.value;
      value.copy_(to_tensor(find_array(values, "parameters/" + p.name)));
    }
  }
  std::vector<NamedArray> start;
  if (const auto& mask_options = options.mask) {
    const auto magnitudes = parameters_at(c, mask_options->epoch);
    const auto mask = make_mask(*mask_options, parameters, magnitudes,
                                static_cast<std::uint64_t>(mask_options->seed.value_or(c.training.seed)));
    const bool matches = mask_options->match_norm != "none";
    matches ? match_norm(*mask_options, mask, parameters) : apply_mask(mask, parameters);
    for (std::size_t k = 0; k < mask.size(); ++k) {
      start.push_back(
          to_named_array((matches ? "start/matched_mask/" : "start/mask/") + parameters[k].name, mask[k]));
    }
  }
  for (const auto& p : parameters.all())
    start.push_back(to_named_array("start/parameters/" + p.name, p.value));
  return start;
}

void apply_start(std::span<const NamedArray> start, const ParameterSet& parameters) {
  at::NoGradGuard no_grad;
  for (const auto& p : parameters.all()) {
    auto value = p.value;
    value.copy_(to_tensor(find_array(start, "start/parameters/" + p.name)));
  }
}

std::vector<at::Tensor> mask_of(std::span<const NamedArray> start, const ParameterSet& parameters) {
  std::vector<at::Tensor> mask;
  for (const auto& p : parameters.all()) {
    const auto* array = find_array_if_present(start, "start/mask/" + p.name);
    if (array == nullptr) return {};
    mask.push_back(to_tensor(*array));
  }
  return mask;
}

}  // namespace grokscope
