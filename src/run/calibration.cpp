#include "run/calibration.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/timer.hpp"
#include "gradients/parameter_gram.hpp"
#include "io/durable_file.hpp"

namespace grokscope {
namespace {

namespace fs = std::filesystem;

constexpr double kLongestPass_s = 0.15;

double median_seconds(int repeats, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const Stopwatch watch;
    work();
    seconds.push_back(watch.seconds());
  }
  std::ranges::sort(seconds);
  return seconds[seconds.size() / 2];
}

double gemm_rate() {
  constexpr std::int64_t kSize = 768;
  const auto a = at::ones({kSize, kSize}, at::kDouble);
  auto c = at::empty_like(a);
  at::mm_out(c, a, a);  // the first one starts the library
  return 2.0 * kSize * kSize * kSize / median_seconds(5, [&] { at::mm_out(c, a, a); });
}

double copy_rate() {
  constexpr std::int64_t kSize = 8'000'000;
  const auto from = at::ones({kSize}, at::kDouble);
  auto to = at::zeros_like(from);
  return 2.0 * 8 * kSize / median_seconds(5, [&] { to.copy_(from); });
}

fs::path nearest_folder(fs::path path) {
  path = fs::absolute(path);
  while (!fs::is_directory(path) && path.has_parent_path() && path != path.root_path()) path = path.parent_path();
  return path;
}

double disk_rate(const fs::path& folder) {
  const std::string piece(16'000'000, 'x');
  constexpr int kPieces = 4;
  const FileDescriptor file(nearest_folder(folder), O_TMPFILE | O_WRONLY);  // vanishes with the descriptor
  file.write(piece);
  file.sync();
  const Stopwatch watch;
  for (int i = 0; i < kPieces; ++i) file.write(piece);
  file.sync();
  return static_cast<double>(piece.size()) * kPieces / watch.seconds();
}

Pass pass_of(const RunConfiguration& c, std::int64_t examples, Taping taping) {
  const auto few = c.task->data().train.rows({0, examples});
  return backward_pass(c.task->model(), c.task->loss(), few.inputs, few.targets, taping);
}

/// Passes of two numbers of examples: the line through both.
PassTimes time_passes(const RunConfiguration& c, Taping taping) {
  const auto all = c.task->data().train.size();
  const auto first = std::min<std::int64_t>(16, all);
  pass_of(c, first, taping);  // the first one allocates
  const double first_s = median_seconds(3, [&] { pass_of(c, first, taping); });
  const auto second = second_sample(first, first_s, all);
  const double second_s = median_seconds(3, [&] { pass_of(c, second, taping); });
  return line_through(first, first_s, second, second_s);
}

/// Seconds of one full pair, all parameters, in the largest tile that is quick.
double pair_seconds(const Taps& taps, double macs) {
  const auto affordable = static_cast<std::int64_t>(std::sqrt(5e9 / std::max(1.0, macs)));
  const auto size = std::min({taps.n, kGramTile, std::max<std::int64_t>(8, affordable)});
  auto tile = at::zeros({size, size}, at::kDouble).t();
  double seconds = 0;
  for (const auto& tap : taps.taps) {
    const auto whole = to_double(slice_rows(tap, {0, size}));
    seconds += median_seconds(3, [&] { add_gram_tile(whole, {0, size}, whole, {0, size}, tile); });
  }
  return seconds / static_cast<double>(size * size);
}

}  // namespace

std::int64_t second_sample(std::int64_t first, double first_s, std::int64_t all) {
  const auto affordable = static_cast<std::int64_t>(kLongestPass_s / first_s * static_cast<double>(first));
  const auto more = std::min(affordable, all);
  return more >= 2 * first ? more : std::max<std::int64_t>(1, first / 4);
}

PassTimes line_through(std::int64_t first, double first_s, std::int64_t second, double second_s) {
  PassTimes times;
  if (first != second) times.example_s = std::max(0.0, (second_s - first_s) / static_cast<double>(second - first));
  times.overhead_s = std::max(0.0, first_s - times.example_s * static_cast<double>(first));
  return times;
}

MachineRates measure_machine(const fs::path& folder, const MachineRates& known) {
  auto rates = known;
  rates.gemm_flops = gemm_rate();
  rates.memory_bytes = copy_rate();
  try {
    rates.disk_bytes = disk_rate(folder);
  } catch (const EnvironmentError&) {
    // Full, read-only, or a file system without nameless files: the run will say so if it is worse than that.
  }
  return rates;
}

ModelTimes measure_model(const RunConfiguration& c, std::int64_t tracked) {
  const auto taps = pass_of(c, std::min(kGramTile, c.task->data().train.size()), Taping::on).taps;
  double macs = 0, expected = 0;
  for (const auto& tap : taps.taps) {
    macs += gram_macs_per_pair(tap);
    expected += expected_macs_per_pair({tap, taps.n}, tracked);
  }
  return {time_passes(c, Taping::off), time_passes(c, Taping::on), pair_seconds(taps, macs) * (macs > 0 ? expected / macs : 1)};
}

}  // namespace grokscope
