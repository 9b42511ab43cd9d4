#include "run/course.hpp"

#include <fmt/format.h>

namespace grokscope {
namespace {

const std::string kEvaluations = "probes/session/history";       ///< in a checkpoint
const std::string kObservedSeries = "probes/session/observables/";

Description counted_in(Description event, const char* unit) {
  event.long_name = fmt::format("{} of {}", unit, event.long_name);
  event.units = unit;
  return event;
}

}  // namespace

void Course::add(const Moment& now, const Evaluation& evaluation) {
  events_.observe(now, evaluation);
  stop_rule_.observe(now, evaluation);
  history_.add(now.step, evaluation);
}

std::int64_t Course::step_before() const {
  return history_.step.size() > 1 ? history_.step[history_.step.size() - 2] : -1;
}

std::vector<NamedArray> Course::state(std::int64_t steps_per_epoch) const {
  std::vector<double> rows;
  for (std::size_t i = 0; i < history_.step.size(); ++i) {
    const auto& e = history_.evaluations[i];
    rows.insert(rows.end(), {static_cast<double>(history_.step[i] / steps_per_epoch),
                             static_cast<double>(history_.step[i]), e.train_loss, e.test_loss, e.train_acc, e.test_acc});
  }
  std::vector<NamedArray> arrays{
      NamedArray::from<double>(kEvaluations, {static_cast<std::int64_t>(history_.step.size()), 6}, rows)
          .described({"evaluations so far", "1", "epoch, step, train_loss, test_loss, train_acc, test_acc"})};
  for (const auto& [name, series] : history_.observables) {
    arrays.push_back(
        NamedArray::from<double>(kObservedSeries + name, {static_cast<std::int64_t>(series.size())}, series)
            .described({"observations of " + name + " so far", "1", "one a row of " + kEvaluations + ", NaN: none"}));
  }
  return arrays;
}

void Course::load(std::span<const NamedArray> arrays) {
  const auto values = find_array(arrays, kEvaluations).values<double>();
  for (std::size_t i = 0; i + 6 <= values.size(); i += 6) {
    add(Moment{static_cast<std::int64_t>(values[i]), static_cast<std::int64_t>(values[i + 1]), 0, false},
        Evaluation{values[i + 2], values[i + 3], values[i + 4], values[i + 5]});
  }
  for (const auto& array : arrays) {
    if (!array.name.starts_with(kObservedSeries)) continue;
    const auto series = array.values<double>();
    history_.observables[array.name.substr(kObservedSeries.size())].assign(series.begin(), series.end());
  }
}

Summary Course::event_summary() const {
  const auto step = [](const std::optional<Moment>& m) { return m ? static_cast<double>(m->step) : kMissing; };
  const auto epoch = [](const std::optional<Moment>& m) { return m ? static_cast<double>(m->epoch) : kMissing; };
  const Description memorised{"memorisation", "1", "first evaluation with training accuracy at training.memorised_at; NaN: never"};
  const Description generalised{"generalisation", "1", "first evaluation with test accuracy at training.generalised_at; NaN: never"};
  return {{"t_mem", step(events_.t_mem()), counted_in(memorised, "step")},
          {"t_gen", step(events_.t_gen()), counted_in(generalised, "step")},
          {"t_mem_step", step(events_.t_mem()), counted_in(memorised, "step")},
          {"t_mem_epoch", epoch(events_.t_mem()), counted_in(memorised, "epoch")},
          {"t_gen_step", step(events_.t_gen()), counted_in(generalised, "step")},
          {"t_gen_epoch", epoch(events_.t_gen()), counted_in(generalised, "epoch")},
          {"rule", events_.rule(), {}}};
}

Summary Course::result_summary(const Task& task, const TrainingOptions& options) const {
  Summary results;
  for (const auto& r : task.results(options, history_)) {
    const auto value = r.values.size() == 1 ? Attribute(r.values.front()) : Attribute(r.values);
    results.push_back({r.name, value, r.description, r.over});
  }
  return results;
}

}  // namespace grokscope
