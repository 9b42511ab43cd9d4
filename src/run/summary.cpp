#include "run/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "run/device.hpp"

namespace grokscope {
namespace {

void print_phases(const Communicator& comm, Log& log, const TimerTree& timers) {
  const auto phases = timers.phases();
  // Every rank runs the same phases in the same order, unless one of them left a loop early.
  const auto count = static_cast<double>(phases.size());
  if (comm.max(count) != comm.min(count)) return;
  std::vector<double> mine;
  for (const auto& phase : phases) mine.push_back(phase.total_s);
  const auto all = comm.all_gather<double>(mine);
  log.info("{:<34} {:>7} {:>9} {:>9} {:>6} {:>10}", "phase", "calls", "mean s", "max s", "share", "imbalance");
  const double whole = phases.front().total_s;
  for (std::size_t i = 0; i < phases.size(); ++i) {
    double sum = 0, most = 0;
    for (int r = 0; r < comm.size(); ++r) {
      const double t = all[static_cast<std::size_t>(r) * phases.size() + i];
      sum += t;
      most = std::max(most, t);
    }
    const double mean = sum / comm.size();
    if (most < 0.001 * whole) continue;
    const auto& path = phases[i].name;
    const auto depth = static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')) + (path.empty() ? 0 : 1);
    const auto name = path.empty() ? "whole run" : path.substr(path.rfind('/') + 1);
    log.info("{:<34} {:>7} {:>9.3f} {:>9.3f} {:>5.1f}% {:>9.2f}x", std::string(2 * depth, ' ') + name, phases[i].calls, mean,
             most, 100 * mean / whole, mean > 0 ? most / mean : 1);
  }
}

/// The warnings of all ranks, equal ones counted once.
void print_warnings(const Communicator& comm, Log& log) {
  std::string mine;
  for (const auto& warning : log.warnings()) {
    for (int k = 0; k < warning.count; ++k) mine += warning.text + '\0';
  }
  const auto all = comm.all_gather_uneven<std::uint8_t>({reinterpret_cast<const std::uint8_t*>(mine.data()), mine.size()});
  std::map<std::string, int> counts;
  for (const auto& text : split(std::string(all.begin(), all.end()), '\0')) {
    if (!text.empty()) ++counts[text];
  }
  if (!counts.empty()) log.info("warnings:");
  for (const auto& [text, times] : counts) log.info("  {} x {}", times, text);
}

}  // namespace

void print_summary(const Communicator& comm, Log& log, const TimerTree& timers, const std::vector<Verdict>& verdicts,
                   const std::filesystem::path& directory, const std::string& citation, const Events& events) {
  log.info("");
  print_phases(comm, log, timers);
  const double memory = peak_memory_bytes();
  double total = memory;
  comm.sum_in_rank_order({&total, 1});
  log.info("memory: at most {} on a rank, {} in all", format_bytes(comm.max(memory)), format_bytes(total));
  print_warnings(comm, log);
  const auto show = [](const std::optional<Moment>& m) { return m ? fmt::format("step {}", m->step) : std::string("never"); };
  log.info("memorised (t_mem): {}; generalised (t_gen): {}", show(events.t_mem()), show(events.t_gen()));
  if (!verdicts.empty()) log.info("claim against result:");
  for (const auto& v : verdicts) log.info("  {}", verdict_line(v));
  log.info("files: {}", (directory / "metrics.h5").string());
  log.info("next:  tools/visualize_gop.py --results_dir {}", directory.string());
  log.info("cite:  {}", citation);
}

}  // namespace grokscope
