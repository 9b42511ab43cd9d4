// What does skipping tokens save in the training step of paper 01, and how far from its floor is its Gram matrix?
//   bench_paper01 [--repeats R] [--examples N]
// Every ratio is of times measured in this run, on one rank and one thread: the floor of the Gram matrix is the
// multiply-accumulates of its kernels over half the pairs, at the dgemm rate of the same core.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/timer.hpp"
#include "comm/environment.hpp"
#include "gradients/gram.hpp"
#include "gradients/parameter_gram.hpp"
#include "nn/all_positions.hpp"
#include "nn/pass.hpp"
#include "nn/transformer_shapes.hpp"
#include "run/device.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kBatch = 512;
constexpr double kAllFlop = 6.0 * kBatch * 6 * (2 * 196608 + 30592);  // weights touched by every token, forward and twice back
// In the last block W_K and W_V at six tokens, all else and the head at two.
constexpr double kReadFlop = 6.0 * kBatch * (6 * (196608 + 2 * 16384) + 2 * (196608 - 2 * 16384 + 30592));

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Random equations eos a op b = c: what they cost does not depend on whether they hold.
struct Equations {
  at::Tensor inputs, targets;

  explicit Equations(std::int64_t n) {
    const auto shape = power_shape();
    inputs = (uniform_init({n, 6}, 0.5, 1, "tokens") + 0.5).mul(97).floor().to(at::kLong) + 22;
    for (const auto& f : shape.fixed_tokens) inputs.select(1, f.position).fill_(f.token);
    targets = at::stack({inputs.select(1, 5), at::zeros({n}, at::kLong)}, 1);
  }
};

void benchmark_step(const Transformer& model, const Loss& loss, int repeats) {
  const Equations batch(kBatch);
  const AllPositions plain(model);
  const auto time_of = [&](const Model& m) {
    const Stopwatch watch;
    const auto pass = backward_pass(m, loss, batch.inputs, batch.targets, Taping::off);
    return std::pair{watch.seconds(), pass.gradients};
  };
  std::vector<double> ours, theirs;
  double worst = 0;
  for (int r = 0; r < repeats; ++r) {  // in turn, so that a drift of the machine meets both
    const auto [a, ga] = time_of(model);
    const auto [b, gb] = time_of(plain);
    ours.push_back(a), theirs.push_back(b);
    for (std::size_t k = 0; k < ga.size(); ++k) {
      worst = std::max(worst, ((ga[k] - gb[k]).norm() / gb[k].norm()).item<double>());
    }
  }
  const double a = median(ours), b = median(theirs);
  fmt::print("training step, forward and backward of {} equations: {:.1f} ms against {:.1f} ms at every position\n", kBatch,
             1e3 * a, 1e3 * b);
  fmt::print("  {:.2f} x faster; linear maps {:.2f} against {:.2f} GFLOP, {:.2f} x; {:.0f} and {:.0f} GFLOP/s; gradients to {:.1e}\n",
             b / a, 1e-9 * kReadFlop, 1e-9 * kAllFlop, kAllFlop / kReadFlop, 1e-9 * kReadFlop / a, 1e-9 * kAllFlop / b, worst);
}

/// GFLOP/s of this core at a square product.
double dgemm_rate() {
  const std::int64_t n = 1024;
  const auto a = at::randn({n, n}, at::kDouble), b = at::randn({n, n}, at::kDouble);
  auto c = at::empty({n, n}, at::kDouble);
  std::vector<double> rates;
  for (int i = 0; i < 9; ++i) {
    const Stopwatch watch;
    at::mm_out(c, a, b);
    rates.push_back(2e-9 * static_cast<double>(n * n * n) / watch.seconds());
  }
  return median(rates);
}

void benchmark_gram(const Communicator& comm, const Transformer& model, const Loss& loss, std::int64_t n, int repeats) {
  const Equations equations(n);
  const GradientMatrix g(comm, backward_pass(model, loss, equations.inputs, equations.targets, Taping::on).taps);
  const auto macs_of = [&](const Tap& tap) {
    const auto exact = to_double(tap);
    return ParameterGram({exact, n}, {exact, n}).macs_per_pair();
  };
  double macs = 0, by_tokens = 0;
  for (const auto& tap : g.mine().taps) macs += macs_of(tap), by_tokens += gram_macs_per_pair(tap);
  std::vector<double> values(static_cast<std::size_t>(n * n));
  const BlockCyclicTarget target{{n, n, 1}, {n, n, 1}, values, n};
  const GramBuilder builder(g, g, target);
  std::vector<double> seconds, rates;
  for (int r = 0; r < repeats; ++r) {
    rates.push_back(dgemm_rate());
    const Stopwatch watch;
    builder.add({0, g.cols()}, Part::lower, target, [] {});
    seconds.push_back(watch.seconds());
  }
  const double pairs = static_cast<double>(n * (n + 1) / 2), floor = 2e-9 * pairs * macs / median(rates);
  fmt::print("Gram matrix of N = {}, P = {}: {:.0f} MAC a pair, {:.0f} if no input were shared, {} explicit\n", n, g.cols(), macs,
             by_tokens, g.cols());
  fmt::print("  {:.2f} s = {:.2f} x its floor {:.2f} s (dgemm {:.1f} GFLOP/s)\n", median(seconds), median(seconds) / floor,
             floor, median(rates));
  for (const auto& tap : g.mine().taps) {
    const Stopwatch watch;
    builder.add({tap.offset, tap.offset + tap.size()}, Part::lower, target, [] {});
    const double each = macs_of(tap), took = watch.seconds();
    fmt::print("  {:<22} {:>8.0f} MAC {:>8.3f} s = {:.2f} x floor\n", tap.parameter, each, took,
               took / (2e-9 * pairs * each / median(rates)));
  }
}

int run(int argc, char** argv) {
  MpiEnvironment mpi(&argc, &argv);
  set_threads(1);
  int repeats = 5;
  std::int64_t examples = 1000;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--repeats") == 0) repeats = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--examples") == 0) examples = std::atoll(argv[i + 1]);
  }
  const auto comm = mpi.world();
  Transformer model(power_shape(), 0);
  model.parameters.convert(at::kCPU, at::kFloat);
  const auto loss = token_cross_entropy(at::kFloat);
  benchmark_step(model, *loss, 2 * repeats + 1);
  benchmark_gram(comm, model, *loss, examples, repeats);
  mpi.finalize();
  return 0;
}

}  // namespace
}  // namespace grokscope

int main(int argc, char** argv) { return grokscope::run(argc, argv); }
