// How far from the floor is the full spectrum of paper 03 at paper scale, and how fast is its training step?
//   mpirun -n 1|2 bench_paper03 [--explicit] [--repeats R]
// Every ratio is of times measured in this run: the floor is the multiply-accumulates of the Gram kernels and 4/3 N^3 of the
// eigensolver at the dgemm rate of the same cores. --explicit adds the straightforward ways (minutes, one rank only).
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/random.hpp"
#include "bench/plain_models.hpp"
#include "data/modular_arithmetic.hpp"
#include "gop/gop.hpp"
#include "gradients/factor_gram.hpp"
#include "gradients/panel.hpp"
#include "linalg/eigensolver.hpp"
#include "nn/one_layer_transformer.hpp"
#include "nn/pass.hpp"
#include "comm/environment.hpp"
#include "run/device.hpp"

extern "C" void dsyrk_(const char* uplo, const char* trans, const int* n, const int* k, const double* alpha, const double* a,
                       const int* lda, const double* beta, double* c, const int* ldc);
extern "C" void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w, double* work,
                        const int* lwork, int* iwork, const int* liwork, int* info);
extern "C" void dsyevd_2stage_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w,
                               double* work, const int* lwork, int* iwork, const int* liwork, int* info);

namespace grokscope {
namespace {

constexpr std::int64_t kExamples = 3830;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// GFLOP/s of one core at a square product, all ranks at once.
double dgemm_rate(const Communicator& comm) {
  const std::int64_t n = 1024;
  const auto a = at::randn({n, n}, at::kDouble), b = at::randn({n, n}, at::kDouble);
  auto c = at::empty({n, n}, at::kDouble);
  std::vector<double> rates;
  for (int i = 0; i < 9; ++i) {
    comm.barrier();
    const Stopwatch watch;
    at::mm_out(c, a, b);
    rates.push_back(2e-9 * static_cast<double>(n * n * n) / watch.seconds());
  }
  return median(rates);
}

struct Problem {
  OneLayerTransformer model{OneLayerTransformerShape{}, 0};
  std::unique_ptr<Loss> loss = cross_entropy(at::kDouble);
  Dataset train;

  Problem() {
    model.parameters.convert(at::kCPU, at::kFloat);
    train = split_at_random(modular_table(113, "add"), kExamples, 0).train;
  }
  Pass pass(const Communicator& comm, Taping taping) const {
    const auto mine = train.rows(even_share(train.size(), comm.size(), comm.rank()));
    return backward_pass(model, *loss, mine.inputs, mine.targets, taping);
  }
};

double benchmark_spectrum(const Communicator& comm, const Problem& problem, int repeats) {
  auto log = Log::silent();
  GopMeter meter(comm, problem.model.parameters.layers(), GopSettings{}, log);
  const auto sample = problem.pass(comm, Taping::on).taps;
  double macs = 0;
  if (comm.is_root()) fmt::print("multiply-accumulates a pair, structured and explicit:\n");
  for (const auto& tap : sample.taps) {
    if (comm.is_root()) fmt::print("  {:<22} {:>8.1f} {:>10.0f}\n", tap.parameter, gram_macs_per_pair(tap), explicit_macs_per_pair(tap));
    macs += gram_macs_per_pair(tap);
  }
  std::vector<double> totals, grams, rates;
  TimerTree timers;
  const Stopwatch all;
  for (int r = 0; r < repeats; ++r) {
    rates.push_back(dgemm_rate(comm));
    const double gram_before = timers.total_of("gram") - timers.total_of("gram/layer_norms");
    comm.barrier();
    const Stopwatch watch;
    const GradientMatrix g(comm, problem.pass(comm, Taping::on).taps);
    const auto result = meter.measure(g, {}, nullptr, timers, [] {});
    comm.barrier();
    totals.push_back(watch.seconds());
    grams.push_back(timers.total_of("gram") - timers.total_of("gram/layer_norms") - gram_before);
    require(result.eigenvalues.size() == static_cast<std::size_t>(kExamples), "wrong number of eigenvalues");
  }
  const double n = static_cast<double>(kExamples), rate = median(rates) * comm.size();
  const double gram_floor = n * n / 2 * macs * 2e-9 / rate, solve_floor = 4.0 / 3 * n * n * n * 1e-9 / rate;
  const double total = median(totals), gram = median(grams), memory = peak_memory_bytes();
  double all_memory = memory;
  comm.sum_in_rank_order({&all_memory, 1});
  if (comm.is_root()) {
    fmt::print("ranks {}, dgemm {:.1f} GFLOP/s a core, N = {}, P = {}, {:.0f} MAC a pair\n", comm.size(), median(rates),
               kExamples, problem.model.parameters.total(), macs);
    fmt::print("floor {:.2f} s (Gram {:.2f}, eigenvalues {:.2f})\n", gram_floor + solve_floor, gram_floor, solve_floor);
    fmt::print("full spectrum with layer norms {:.2f} s = {:.2f} x floor\n", total, total / (gram_floor + solve_floor));
    fmt::print("Gram part {:.2f} s = {:.2f} x its floor\n", gram, gram / gram_floor);
    fmt::print("memory {:.2f} GB in all\n", all_memory / 1e9);
    for (const auto& phase : timers.phases()) {
      if (phase.total_s > 0) fmt::print("  {:<28} {:>7.3f} s each, {:>5.1f} %\n", phase.name.empty() ? "(all, with dgemm)" : phase.name, phase.total_s / repeats, 100 * phase.total_s / all.seconds());
    }
  }
  meter.release();
  return total;
}

/// K from explicit gradients, one parameter at a time, by dgemm or by dsyrk; then all eigenvalues.
double benchmark_explicit(const Problem& problem, const Communicator& comm, bool half) {
  const auto taps = problem.pass(comm, Taping::on).taps;
  auto k = at::zeros({kExamples, kExamples}, at::kDouble);
  const int n = static_cast<int>(kExamples);
  const double one = 1;
  double seconds = 0;
  for (const auto& tap : taps.taps) {
    const Stopwatch watch;
    const auto g = materialise(tap, taps.n);
    if (half) {
      const int p = static_cast<int>(tap.size());
      dsyrk_("L", "T", &n, &p, &one, g.data_ptr<double>(), &p, &one, k.data_ptr<double>(), &n);
    } else {
      k.addmm_(g, g.t());
    }
    seconds += watch.seconds();
  }
  const Stopwatch watch;
  std::vector<double> values(static_cast<std::size_t>(n)), work(static_cast<std::size_t>(n) * 1200);
  std::vector<int> integers(static_cast<std::size_t>(10 * n));
  const int lwork = static_cast<int>(work.size()), liwork = static_cast<int>(integers.size());
  int info = 0;
  (half ? dsyevd_2stage_ : dsyevd_)("N", "L", &n, k.data_ptr<double>(), &n, values.data(), work.data(), &lwork, integers.data(),
                                    &liwork, &info);
  require(info == 0, "eigensolver failed");
  return seconds + watch.seconds();
}

void benchmark_step(const Communicator& comm, const Problem& problem, int repeats) {
  const PlainModel plain(problem.model.parameters, plain_one_layer_transformer);
  const auto time_of = [&](const Model& model) {
    const Stopwatch watch;
    const auto pass = backward_pass(model, *problem.loss, problem.train.inputs, problem.train.targets, Taping::off);
    return std::pair{watch.seconds(), pass.gradients};
  };
  std::vector<double> ours, theirs;
  double worst = 0;
  for (int r = 0; r < repeats; ++r) {  // in turn, so that a drift of the machine meets both
    const auto [a, ga] = time_of(problem.model);
    const auto [b, gb] = time_of(plain);
    ours.push_back(a), theirs.push_back(b);
    for (std::size_t k = 0; k < ga.size(); ++k) {
      worst = std::max(worst, ((ga[k] - gb[k]).norm() / gb[k].norm()).item<double>());
    }
  }
  if (comm.is_root()) {
    fmt::print("training step {:.1f} ms against {:.1f} ms for every position: {:.2f} x faster, gradients to {:.1e}\n",
               1e3 * median(ours), 1e3 * median(theirs), median(theirs) / median(ours), worst);
  }
}

int run(int argc, char** argv) {
  MpiEnvironment mpi(&argc, &argv);
  set_threads(1);
  bool with_explicit = false;
  int repeats = 5;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--explicit") == 0) with_explicit = true;
    if (std::strcmp(argv[i], "--repeats") == 0 && i + 1 < argc) repeats = std::atoi(argv[++i]);
  }
  const auto comm = mpi.world();
  const Problem problem;
  const double ours = benchmark_spectrum(comm, problem, repeats);
  if (comm.size() == 1) benchmark_step(comm, problem, 2 * repeats + 1);
  if (with_explicit && comm.size() == 1) {
    const double syrk = benchmark_explicit(problem, comm, true), gemm = benchmark_explicit(problem, comm, false);
    fmt::print("explicit G, dsyrk and two-stage: {:.1f} s = {:.1f} x ours\n", syrk, syrk / ours);
    fmt::print("explicit G, dgemm and dsyevd:    {:.1f} s = {:.1f} x ours\n", gemm, gemm / ours);
  }
  mpi.finalize();
  return 0;
}

}  // namespace
}  // namespace grokscope

int main(int argc, char** argv) { return grokscope::run(argc, argv); }
