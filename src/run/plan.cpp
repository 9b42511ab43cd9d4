#include "run/plan.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/text.hpp"
#include "base/timer.hpp"
#include "probes/tracked_examples.hpp"
#include "run/calibration.hpp"
#include "run/device.hpp"
#include "run/workload.hpp"

namespace grokscope {
namespace {

/// Everything that one plan is made of.
struct Findings {
  Workload work;
  StoredBytes stored;
  ModelTimes times;
  MachineRates rates;
  double calibration_s = 0;  ///< 0: nothing was measured
};

std::string seconds_text(double s) {
  if (s < 1e-3) return fmt::format("{:.0f} us", s * 1e6);
  if (s < 1) return fmt::format("{:.1f} ms", s * 1e3);
  return format_duration(s);
}

std::string layer_table(const RunConfiguration& c, const Workload& w, int ranks) {
  auto text = fmt::format("  {:<24} {:>12} {:>10} {:>14} {:>14}  {}\n", "layer", "parameters", "share", "MAC a pair",
                          "explicit MAC", "side for its own spectrum");
  const auto& layers = c.task->model().parameters.layers();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto size = w.layers[i].parameters;
    const auto side = choose_side({w.tracked, size, w.layers[i].gram_macs, ranks, w.path, w.memory_per_rank_gb});
    text += fmt::format("  {:<24} {:>12} {:>9.1f}% {:>14.0f} {:>14}  {}\n", layers[i].name, size,
                        100.0 * static_cast<double>(size) / static_cast<double>(w.parameters), w.layers[i].gram_macs, size,
                        side.side == Side::gram ? "gram" : "dense");
  }
  return text;
}

std::string storage_table(const RunConfiguration& c, const Findings& f) {
  const auto full = c.storage.store_full_gop, layers = c.storage.store_layer_gops;
  auto text = fmt::format("  {:<28} {:>14} {:>14}\n", "storage policy", "each moment", "in all");
  const auto add = [&](const char* name, bool chosen, double bytes, std::int64_t moments) {
    text += fmt::format("  {} {:<26} {:>14} {:>14}  ({} moments)\n", chosen ? "*" : " ", name, format_bytes(bytes),
                        format_bytes(bytes * static_cast<double>(moments)), moments);
  };
  const auto stored = f.work.storable;
  add("metrics only (spectra)", true, f.stored.spectra, f.work.moments);
  add("factors", full == StorePolicy::factors || layers == StorePolicy::factors, f.stored.factors, stored);
  add("full matrix, dense", full == StorePolicy::dense, f.stored.full_dense, stored);
  if (f.work.layers.size() > 1) add("layers' matrices, dense", layers == StorePolicy::dense, f.stored.layers_dense, stored);
  const auto packed = c.storage.compression == "none" ? "" : ", before compression";
  return text + fmt::format("    (* as configured; matrices {} in {}{})\n", c.storage.layout, c.storage.float_precision, packed);
}

std::string rates_text(const Findings& f) {
  const auto origin = f.calibration_s > 0 ? fmt::format("measured here in {:.1f} s", f.calibration_s)
                                          : std::string("reference machine, nothing measured");
  return fmt::format("each rank {:.0f} GFLOP/s (float64), memory {:.0f} GB/s, disk {:.2f} GB/s ({}); network {:.1f} us, "
                     "{:.1f} GB/s (given)",
                     f.rates.gemm_flops / 1e9, f.rates.memory_bytes / 1e9, f.rates.disk_bytes / 1e9, origin,
                     f.rates.latency_s * 1e6, f.rates.network_bytes / 1e9);
}

std::string time_text(const Findings& f, const CostEstimate& e) {
  const auto& w = f.work;
  auto text = fmt::format("  estimated from       {}\n", rates_text(f));
  text += fmt::format("  a training step      {}\n", seconds_text(e.step_s));
  text += fmt::format("  an evaluation        {}\n", seconds_text(e.evaluation_s));
  if (w.moments > 0) {
    text += fmt::format("  a tracked moment     {} (pass {}, matrix {}, layers {}, eigenvalues {}, vectors {})\n",
                        seconds_text(e.moment_s()), seconds_text(e.pass_s), seconds_text(e.fill_s), seconds_text(e.layers_s),
                        seconds_text(e.solve_s), seconds_text(e.vectors_s));
  }
  if (w.stored > 0) text += fmt::format("  a stored moment      {} more\n", seconds_text(e.store_s));
  return text + fmt::format("  time in all          about {}{}\n", format_duration(e.total_s),
                            e.is_extrapolated ? fmt::format(" (extrapolated from {} ranks)", kMeasuredRanks) : "");
}

std::string rank_table(const Findings& f, int most) {
  auto text = fmt::format("\n  {:>5}  {:<6} {:<22} {:>11} {:>11} {:>11} {:>11} {:>13}\n", "ranks", "side", "eigensolver, grid",
                          "memory/rank", "step", "moment", "stored", "in all");
  for (std::int64_t ranks = 1; ranks <= most; ranks *= 2) {
    const auto e = estimate_cost(f.work, f.times, f.rates, static_cast<int>(ranks));
    text += fmt::format("  {:>5}  {:<6} {:<22} {:>11} {:>11} {:>11} {:>11} {:>13}{}\n", ranks,
                        e.side.side == Side::gram ? "gram" : "dense",
                        fmt::format("{} {} x {}", name_of(e.solver.solver), e.solver.shape.rows, e.solver.shape.cols),
                        format_bytes(e.memory_bytes), seconds_text(e.step_s), seconds_text(e.moment_s()),
                        seconds_text(f.work.stored > 0 ? e.store_s : 0), format_duration(e.total_s),
                        e.is_extrapolated ? "  extrapolated" : "");
  }
  return text;
}

Findings find(const RunConfiguration& c, const PlanRequest& request) {
  Findings f;
  const auto taps = sample_taps(c);
  f.work = workload_of(c, taps);
  f.stored = stored_bytes(c, taps);
  f.rates = request.rates;
  if (request.calibrate) {
    const Stopwatch watch;
    set_threads(static_cast<int>(c.limits.threads_per_rank));
    if (!request.has_machine) f.rates = measure_machine(c.run_directory, request.rates);
    f.times = measure_model(c, f.work.tracked);
    f.calibration_s = watch.seconds();
  } else {
    f.times = guess_times(f.work, f.rates);
  }
  return f;
}

std::string head_text(const RunConfiguration& c, const Findings& f, const CostEstimate& e) {
  const auto& w = f.work;
  const auto& t = c.training;
  auto text = fmt::format("{}\n{}\n\n", c.experiment.name, c.task->info().title);
  text += fmt::format("  run directory        {}\n", c.run_directory.string());
  text += fmt::format("  training             {} examples, {} test; {} steps of {} examples ({} epochs); {} {}, lr {:g}, decay {:g}\n",
                      w.examples, w.test_examples, w.steps, t.batch_size.is_full() ? w.examples : t.batch_size.examples, w.epochs,
                      t.dtype, t.optimizer, t.lr, t.weight_decay);
  text += fmt::format("  tracking             {} examples at {} moments\n", w.tracked, w.moments);
  text += fmt::format("  full GOP             P = {}, {}\n", w.parameters, e.side.reason);
  text += fmt::format("  eigensolver          {}\n", e.solver.reason);
  return text + fmt::format("  memory per rank      about {} at most (taps of {} in all)\n", format_bytes(e.memory_bytes),
                            format_bytes(w.tap_bytes));
}

/// Matrices are stored at tracked moments only: says so where some that are asked for would never come.
std::string missing_text(const Workload& w) {
  if (w.stored >= w.wanted) return "";
  return fmt::format("of the {} moments of storage.gop_schedule {} are tracked (matrices are stored at tracked moments only), "
                     "make gop_tracking.frequency divide its interval", w.wanted, w.stored);
}

std::string limits_text(const RunConfiguration& c, const StoredBytes& stored) {
  const double gb = stored.chosen / 1e9;
  if (gb > c.limits.max_gop_size_gb) {
    throw UserError(fmt::format("storing matrices and factors would take {} at every stored moment (above "
                                "computational_limits.max_gop_size_gb: {}), choose storage.store_full_gop: factors ({}) or false, "
                                "or raise the limit", format_bytes(gb * 1e9), c.limits.max_gop_size_gb, format_bytes(stored.factors)));
  }
  if (gb <= c.limits.warn_if_exceeds_gb) return "";
  return fmt::format("matrices and factors take {} at every stored moment (computational_limits.warn_if_exceeds_gb is {})",
                     format_bytes(gb * 1e9), c.limits.warn_if_exceeds_gb);
}

}  // namespace

void parse_ranks(const std::string& text, PlanRequest& request) {
  const auto number = [&](std::string_view part) {
    int value = 0;
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || stop != part.data() + part.size() || value < 1) {
      throw UserError(fmt::format("'{}' is no number of ranks (they count from 1), write 8, or 1:1024 for a table", text));
    }
    return value;
  };
  const auto colon = text.find(':');
  request.ranks = number(std::string_view(text).substr(0, colon));
  request.most_ranks = colon == std::string::npos ? request.ranks : number(std::string_view(text).substr(colon + 1));
}

std::string check_storage_limits(const RunConfiguration& c) {
  const auto taps = sample_taps(c);
  auto warning = limits_text(c, stored_bytes(c, taps));
  const auto missing = missing_text(workload_of(c, taps));
  return warning.empty() || missing.empty() ? warning + missing : warning + "; " + missing;
}

double moment_bytes(const RunConfiguration& c) {
  const auto stored = stored_bytes(c, sample_taps(c));
  return stored.spectra + (c.storage.compression == "none" ? stored.chosen : 0);
}

Plan make_plan(RunConfiguration& c, const PlanRequest& request) {
  c.task->build_data(c.training);
  c.task->build_model(c.training);
  c.task->convert(at::kCPU, parameter_type(c.training));
  check_tracked_examples(c.task->data(), c.gop);
  const auto warning = check_storage_limits(c);
  const auto f = find(c, request);
  const auto e = estimate_cost(f.work, f.times, f.rates, request.ranks);
  const double spectra = f.stored.spectra * static_cast<double>(f.work.moments);
  const double matrices = f.stored.chosen * static_cast<double>(f.work.stored);
  auto text = head_text(c, f, e);
  text += fmt::format("  on disk              spectra {}, matrices and factors {} ({} stored moments)\n", format_bytes(spectra),
                      format_bytes(matrices), f.work.stored);
  text += time_text(f, e) + "\n" + layer_table(c, f.work, request.ranks) + "\n" + storage_table(c, f);
  if (request.most_ranks > request.ranks) text += rank_table(f, request.most_ranks);
  if (!warning.empty()) text += "\nwarning: " + warning + "\n";
  return {text, f.work.steps, f.work.moments, spectra + matrices, e.total_s};
}

}  // namespace grokscope
