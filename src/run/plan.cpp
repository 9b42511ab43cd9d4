#include "run/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "gop/side.hpp"
#include "gradients/factor_gram.hpp"
#include "linalg/solver_choice.hpp"
#include "run/device.hpp"

namespace grokscope {
namespace {

double value_bytes(const StorageOptions& s) { return s.float_precision == "float32" ? 4 : 8; }

double stored_matrix_bytes(const RunConfiguration& c) {
  const auto& parameters = c.task->model().parameters;
  const auto square = [](std::int64_t n) { return static_cast<double>(n) * static_cast<double>(n); };
  double numbers = c.storage.store_full_gop == StorePolicy::dense ? square(parameters.total()) : 0;
  if (c.storage.store_layer_gops == StorePolicy::dense) {
    for (const auto& layer : parameters.layers()) numbers += square(layer.range.size());
  }
  return numbers * value_bytes(c.storage);
}

struct Sizes {
  std::int64_t examples, parameters, tracked, steps_per_epoch, steps, moments;
};

Sizes sizes_of(const RunConfiguration& c) {
  const auto& data = c.task->data();
  const auto examples = data.train.size();
  const auto batch = c.training.batch_size.is_full() ? examples : std::min(examples, c.training.batch_size.examples);
  const auto per_epoch = (examples + batch - 1) / batch;
  const auto steps = c.training.steps.value_or(c.training.epochs * per_epoch);
  const auto& split = c.gop.split == "train" ? data.train : data.test;
  const auto tracked = c.gop.examples.is_all() ? split.size() : std::min(split.size(), c.gop.examples.count);
  const auto schedule = c.gop.effective_schedule();
  const auto last = schedule.unit == "epoch" ? steps / per_epoch : steps;
  return {examples, c.task->model().parameters.total(), tracked, per_epoch, steps,
          c.gop.enabled ? Schedule(schedule, last).count() : 0};
}

/// The taps of a few examples: they know what a pair costs.
Taps sample_taps(const RunConfiguration& c) {
  const auto few = c.task->data().train.rows({0, std::min<std::int64_t>(4, c.task->data().train.size())});
  return backward_pass(c.task->model(), c.task->loss(), few.inputs, few.targets, Taping::on).taps;
}

std::string layer_table(const RunConfiguration& c, const Taps& taps, const Sizes& s, int ranks) {
  auto text = fmt::format("  {:<24} {:>12} {:>10} {:>14} {:>14}  {}\n", "layer", "parameters", "share", "MAC a pair",
                          "explicit MAC", "side for its own spectrum");
  for (const auto& layer : c.task->model().parameters.layers()) {
    double macs = 0;
    for (const auto& tap : taps.taps) {
      if (tap.offset >= layer.range.begin && tap.offset < layer.range.end) macs += gram_macs_per_pair(tap);
    }
    const auto side = choose_side({s.tracked, layer.range.size(), macs, ranks, c.gop.path, c.limits.memory_per_rank_gb});
    text += fmt::format("  {:<24} {:>12} {:>9.1f}% {:>14.0f} {:>14}  {}\n", layer.name, layer.range.size(),
                        100.0 * static_cast<double>(layer.range.size()) / static_cast<double>(s.parameters), macs,
                        layer.range.size(), side.side == Side::gram ? "gram" : "dense");
  }
  return text;
}

}  // namespace

std::string check_storage_limits(const RunConfiguration& c) {
  const double gb = stored_matrix_bytes(c) / 1e9;
  if (gb > c.limits.max_gop_size_gb) {
    throw UserError(fmt::format("storing dense GOPs would take {} at every stored epoch (above "
                                "computational_limits.max_gop_size_gb: {}), set storage.store_full_gop: false or raise the "
                                "limit", format_bytes(gb * 1e9), c.limits.max_gop_size_gb));
  }
  if (gb <= c.limits.warn_if_exceeds_gb) return "";
  return fmt::format("dense GOPs take {} at every stored epoch (computational_limits.warn_if_exceeds_gb is {})",
                     format_bytes(gb * 1e9), c.limits.warn_if_exceeds_gb);
}

Plan make_plan(RunConfiguration& c, int ranks) {
  c.task->build_data(c.training);
  c.task->build_model(c.training);
  c.task->convert(at::kCPU, parameter_type(c.training));
  const auto s = sizes_of(c);
  const auto taps = sample_taps(c);
  double macs = 0;
  for (const auto& tap : taps.taps) macs += gram_macs_per_pair(tap);
  const auto side = choose_side({s.tracked, s.parameters, macs, ranks, c.gop.path, c.limits.memory_per_rank_gb});
  const auto n = side.side == Side::gram ? s.tracked : s.parameters;
  const auto solver = choose_solver({n, ranks, c.gop.solver, false});
  const auto warning = check_storage_limits(c);

  const double matrix = 8.0 * static_cast<double>(n) * static_cast<double>(n) / ranks;
  const double tap_bytes = static_cast<double>(taps.bytes()) / static_cast<double>(std::max<std::int64_t>(1, taps.n)) *
                           static_cast<double>(s.tracked);
  const double spectra = 8.0 * static_cast<double>(std::min(s.tracked, s.parameters)) * static_cast<double>(s.moments);
  const auto schedule_end = s.steps / s.steps_per_epoch;
  const bool stores = c.storage.store_full_gop == StorePolicy::dense || c.storage.store_layer_gops == StorePolicy::dense;
  const double dense = stored_matrix_bytes(c);
  const auto stored = stores ? std::min(s.moments, Schedule(c.storage.gop_schedule, schedule_end).count()) : 0;

  std::string text = fmt::format("{}\n{}\n\n", c.experiment.name, c.task->info().title);
  text += fmt::format("  run directory        {}\n", c.run_directory.string());
  text += fmt::format("  training             {} examples, {} test; {} steps of {} examples ({} epochs); {} {}, lr {:g}, decay {:g}\n",
                      s.examples, c.task->data().test.size(), s.steps, c.training.batch_size.is_full() ? s.examples : c.training.batch_size.examples,
                      schedule_end, c.training.dtype, c.training.optimizer, c.training.lr, c.training.weight_decay);
  text += fmt::format("  tracking             {} examples at {} moments\n", s.tracked, s.moments);
  text += fmt::format("  full GOP             P = {}, {}\n", s.parameters, side.reason);
  text += fmt::format("  eigensolver          {}\n", solver.reason);
  text += fmt::format("  memory per rank      about {} (two {} x {} matrices, taps of {})\n",
                      format_bytes(2 * matrix + 3 * tap_bytes / std::max(1, ranks) + 3e8), n, n, format_bytes(tap_bytes));
  text += fmt::format("  on disk              spectra {}, dense matrices {} ({} stored moments)\n\n", format_bytes(spectra),
                      format_bytes(dense * static_cast<double>(stored)), stored);
  text += layer_table(c, taps, s, ranks);
  if (!warning.empty()) text += "\nwarning: " + warning + "\n";
  return {text, s.steps, s.moments, spectra + dense * static_cast<double>(stored)};
}

std::string plan_text(StudyConfiguration& study, int ranks) {
  const int size = ranks_per_member(study, ranks);
  std::string text = fmt::format("study of {} members, {} at a time on {} rank(s) each: {}\n", study.members.size(),
                                 ranks / size, size, study.run_directory.string());
  Plan sum;
  for (std::size_t i = 0; i < study.members.size(); ++i) {
    const auto same_group = [&](const StudyMember& m) { return m.group == study.members[i].group; };
    const bool is_first = std::find_if(study.members.begin(), study.members.end(), same_group) - study.members.begin() ==
                          static_cast<std::ptrdiff_t>(i);
    if (!is_first) continue;
    const auto seeds = std::count_if(study.members.begin(), study.members.end(), same_group);
    const auto configuration = std::move(study.members[i].configuration);  // its data goes with it
    const auto plan = make_plan(*configuration, size);
    const auto others = seeds > 1 ? fmt::format(" and {} other seed(s)", seeds - 1) : "";
    text += fmt::format("\n== {}{}\n\n{}", study.members[i].name, others, plan.text);
    sum.steps += seeds * plan.steps;
    sum.moments += seeds * plan.moments;
    sum.disk_bytes += static_cast<double>(seeds) * plan.disk_bytes;
  }
  return text + fmt::format("\n== sum of {} members: {} steps, {} tracked moments, {} on disk\n",
                            study.members.size(), sum.steps, sum.moments, format_bytes(sum.disk_bytes));
}

}  // namespace grokscope
