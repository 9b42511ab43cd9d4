#include "train/task.hpp"

namespace grokscope {
namespace {

void convert_split(Dataset& split, at::Device device, at::ScalarType dtype) {
  split = split.to(device);
  if (split.inputs.is_floating_point()) split.inputs = split.inputs.to(dtype);
  if (split.targets.is_floating_point()) split.targets = split.targets.to(dtype);
}

const std::string kObservables = "observables/";

}  // namespace

void History::add(std::int64_t at_step, const Evaluation& evaluation) {
  step.push_back(at_step);
  evaluations.push_back(evaluation);
  for (auto& [name, series] : observables) series.resize(step.size(), kMissing);
}

void History::add(const Record& observation) {
  for (const auto& m : observation.measurements) {
    if (m.is_vector) continue;
    require(m.quantity.path.starts_with(kObservables), "an observable outside observables/");
    auto& series = observables[m.quantity.path.substr(kObservables.size())];
    series.resize(step.size(), kMissing);
    series.back() = m.values.front();
  }
}

void Task::restore_data(std::span<const NamedArray> arrays) {
  const auto split = [&](const std::string& name) {
    return Dataset{to_tensor(find_array(arrays, name + "/ids")), to_tensor(find_array(arrays, name + "/inputs")),
                   to_tensor(find_array(arrays, name + "/targets"))};
  };
  data_ = {split("train"), split("test")};
}

void Task::declare_observation_schedule(Schemas& schemas) {
  schemas.section("observables").add("schedule", observation_schedule_, "moments at which the paper's own quantities are "
                                     "measured, beside the last one; none: at every evaluation");
}

void Task::convert(at::Device device, at::ScalarType dtype) {
  convert_split(data_.train, device, dtype);
  convert_split(data_.test, device, dtype);
  model_->parameters.convert(device, dtype);
}

at::ScalarType parameter_type(const TrainingOptions& options) {
  return options.dtype == "float64" ? at::kDouble : at::kFloat;
}

at::ScalarType loss_type(const TrainingOptions& options) {
  if (options.loss_dtype == "same") return parameter_type(options);
  return options.loss_dtype == "float64" ? at::kDouble : at::kFloat;
}

}  // namespace grokscope
