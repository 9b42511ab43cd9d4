#include "run/cost_model.hpp"

#include <algorithm>
#include <cmath>

#include "gradients/products.hpp"

namespace grokscope {
namespace {

constexpr double kBaseBytes = 3e8;        // the program and its libraries, resident
constexpr double kTile = 256;             // Gram tiles that cross the diagonal are computed whole
constexpr double kPanelTile = 512;        // and so are those of a panel
constexpr double kNormProducts = 18;      // of a matrix with a block, until block Lanczos knows its largest eigenvalue: 12 to 24
constexpr double kVectorProducts = 30;    // and its leading vectors to 1e-10: 20 to 60
constexpr double kPanelEfficiency = 0.7;  // of dgemm, with the gradients that are made on the way
constexpr double kVectorEfficiency = 0.3; // of dgemm, for products of a few columns
constexpr double kKernelEfficiency = 0.5; // of dgemm, for the kernels of pairs, where nothing was timed
constexpr double kPanelColumns = 4096;    // of examples' gradients that are made at a time while rows are stored
constexpr double kPanelExamples = 512;

/// Rounds of a tree over p ranks.
double rounds(double p) { return p > 1 ? std::ceil(std::log2(p)) : 0; }

/// How a solver spends its time: 4/3 n^3 FLOP at a share of the dgemm rate, then seconds per n^2 on one rank, at the
/// reference rates. Fitted to the table in linalg/solver_choice.cpp at n = 1,000 to 4,000.
struct SolverProfile {
  double efficiency;
  double serial_flops;   ///< for each element of the matrix
  double columns_a_message;  ///< 1: a reduction for every column; else the width of a panel
};

SolverProfile profile_of(const SolverChoice& choice) {
  const auto nb = static_cast<double>(std::max<std::int64_t>(1, choice.nb));
  switch (choice.solver) {
    case Solver::lapack: return {0.76, 2800, nb};
    case Solver::two_stage: return {0.66, 1900, nb};
    case Solver::scalapack: return {0.18, 0, 1};
    case Solver::elpa1: return {0.15, 0, 1};
    case Solver::elpa2: return {0.28, 0, nb};
  }
  return {};
}

/// The matrix that is diagonalised, on every rank: filled, and its copy on the solver's grid.
double fill_gram(const Workload& w, const ModelTimes& times, const MachineRates& rates, double p) {
  const auto n = static_cast<double>(w.tracked);
  const double side = std::sqrt(p);
  const double pairs = n * (n + kTile * side) / 2 / p;
  const double taps = p > 1 ? w.tap_bytes * 2 / side / rates.network_bytes + p * rates.latency_s : 0;
  return times.gram_pair_s * pairs + taps;
}

double fill_dense(const Workload& w, const MachineRates& rates, double p) {
  const auto n = static_cast<double>(w.tracked), size = static_cast<double>(w.parameters);
  const double taps = p > 1 ? w.tap_bytes / rates.network_bytes + std::ceil(n / kPanelExamples) * p * rates.latency_s : 0;
  const double computed = std::min(2 * size, size + kPanelTile * std::sqrt(p)) * size;
  return n * computed / (kPanelEfficiency * rates.gemm_flops * p) + taps;
}

/// Block Lanczos: products of the matrix with a block, which reads it from memory once each. How many depends on the spectrum.
double lanczos_seconds(double n, double columns, const MachineRates& rates, double p) {
  const double width = std::clamp(columns, 8.0, 32.0);
  const double slow_flops = kVectorEfficiency * rates.gemm_flops;
  const double product = std::max(8 * n * n / 2 / rates.memory_bytes, 2 * n * n * width / slow_flops) / p;
  const double orthogonal = 4 * n * width * (7 * width) / slow_flops;  // against the basis, on every rank
  const double messages = p > 1 ? 2 * rounds(p) * rates.latency_s + 8 * n * width / rates.network_bytes : 0;
  return (columns > 1 ? kVectorProducts : kNormProducts) * (product + orthogonal + messages);
}

double layers_seconds(const Workload& w, const MachineRates& rates, Side side, int ranks) {
  if (!w.layer_norms || w.layers.size() < 2) return 0;
  const auto n = static_cast<double>(w.tracked);
  double seconds = 0;
  for (const auto& layer : w.layers) {
    const auto size = static_cast<double>(layer.parameters);
    const double own = side == Side::gram ? n : size;
    seconds += lanczos_seconds(own, 1, rates, ranks) + 3 * 8 * own * own / 2 / rates.memory_bytes / ranks;
    if (w.layer_spectra == 0) continue;
    const auto solved = static_cast<std::int64_t>(
        choose_side({w.tracked, layer.parameters, layer.gram_macs, ranks, w.path, w.memory_per_rank_gb}).side == Side::gram ? n : size);
    const auto count = static_cast<std::int64_t>(w.layers.size());
    const auto choice = choose_solver({solved, ranks, w.solver, false, count});
    // LAPACK solves a matrix on every rank at a time.
    const double at_once = choice.solver == Solver::lapack ? std::min<double>(ranks, static_cast<double>(count)) : 1;
    seconds += solve_seconds(choice, solved, rates) / at_once / static_cast<double>(w.layer_spectra);
  }
  return seconds;
}

double memory_of(const Workload& w, const CostEstimate& e, double n, double p) {
  const double matrix = 8 * n * n;
  const double copies = w.layers.size() > 1 && w.layer_norms && e.side.side == Side::gram ? 3 : 2;
  // LAPACK has the whole matrix on one rank.
  double bytes = matrix * copies / p;
  if (e.solver.solver == Solver::lapack && p > 1) bytes += matrix;
  // Those of its own examples, and twice as much for the pass that makes them; and one parameter's at a time in float64, of
  // the rows and of the columns of its tiles.
  const double fetched = 2 * w.largest_tap_bytes * (p > 1 ? 2 : 1);
  const double taps = 3 * w.tap_bytes / p + fetched / (e.side.side == Side::gram ? std::sqrt(p) : p);
  const double basis = 2 * 8 * n * 8 * static_cast<double>(w.top_k);
  // Shards of the vectors, of those before and of a copy; and the few that are whole on every rank.
  const auto size_of_one = static_cast<double>(w.parameters), k = static_cast<double>(w.top_k);
  const double vectors = 8 * (3 * size_of_one * k / p + 2 * std::clamp<double>(kUnshardedNumbers, size_of_one, size_of_one * k));
  double storing = 0;
  if (w.dense_flops > 0) {
    const auto size = static_cast<double>(w.parameters);
    const double rows = std::min(size / p, w.panel_bytes / 8 / size);
    storing = 1.5 * std::min(w.panel_bytes, 8 * size * size / p) + 8 * kPanelExamples * (rows + 2 * kPanelColumns);
  }
  // Parameters, their gradient and the optimizer's two moments; and the last good state, which goes to the disk when training
  // breaks: parameters and moments again.
  const double model = 7 * w.parameter_bytes;
  return kBaseBytes + model + taps + std::max(bytes + basis, storing) + vectors;
}

}  // namespace

double solve_seconds(const SolverChoice& choice, std::int64_t size, const MachineRates& rates) {
  const auto n = static_cast<double>(size);
  const auto p = static_cast<double>(choice.shape.size());
  const auto profile = profile_of(choice);
  const double flops = 4.0 / 3 * n * n * n / (profile.efficiency * rates.gemm_flops * p) +
                       profile.serial_flops * n * n / rates.gemm_flops;
  if (p <= 1) return flops;
  const double messages = 4 * n / profile.columns_a_message * rounds(p) * rates.latency_s;
  return flops + 2 * 8 * n * n / std::sqrt(p) * rounds(p) / rates.network_bytes + messages;
}

CostEstimate estimate_cost(const Workload& w, const ModelTimes& times, const MachineRates& rates, int ranks) {
  const auto p = static_cast<double>(ranks), size = static_cast<double>(w.parameters);
  CostEstimate e;
  e.is_extrapolated = ranks > kMeasuredRanks;
  e.side = choose_side({w.tracked, w.parameters, w.gram_macs, ranks, w.path, w.memory_per_rank_gb});
  const auto n_solved = e.side.side == Side::gram ? w.tracked : w.parameters;
  const auto n = static_cast<double>(n_solved), tracked = static_cast<double>(w.tracked);
  e.solver = choose_solver({n_solved, ranks, w.solver, false});

  const auto share = [&](std::int64_t examples) { return std::ceil(static_cast<double>(examples) / p); };
  const auto pass = [&](std::int64_t examples) { return times.plain.of(share(examples)); };
  // Slices of the gradient are exchanged, summed and gathered.
  const double reduce = ranks > 1 ? 2 * (size * 4 / rates.network_bytes + p * rates.latency_s) : 0;
  e.step_s = pass(w.batch) + reduce + 40 * size / rates.memory_bytes;
  e.evaluation_s = (pass(w.test_examples) + (w.batch < w.examples ? pass(w.examples) : 0)) / 3;
  e.pass_s = times.taped.of(share(w.tracked));
  if (w.shares_backward) e.pass_s = std::max(0.0, e.pass_s - pass(w.tracked));
  e.fill_s = e.side.side == Side::gram ? fill_gram(w, times, rates, p) : fill_dense(w, rates, p);
  e.layers_s = layers_seconds(w, rates, e.side.side, ranks);
  const double move = ranks > 1 ? 8 * n * n / p / rates.network_bytes + 2 * 8 * n * n / p / rates.memory_bytes : 0;
  if (w.full_spectrum) e.solve_s = solve_seconds(e.solver, n_solved, rates) + move;
  if (w.covariance_spectra > 0) e.layers_s += (solve_seconds(e.solver, n_solved, rates) + move) / static_cast<double>(w.covariance_spectra);
  const auto k = static_cast<double>(w.top_k);
  e.vectors_s = lanczos_seconds(n, k, rates, p) +
                2 * 2 * k * tracked * w.product_macs / (kVectorEfficiency * rates.gemm_flops * p) +
                (ranks > 1 ? 3 * k * (8 * size / rates.network_bytes + p * rates.latency_s) : 0);
  e.store_s = std::max(w.stored_bytes / rates.disk_bytes, w.dense_flops / (kPanelEfficiency * rates.gemm_flops * p));
  e.total_s = static_cast<double>(w.steps) * e.step_s + static_cast<double>(w.evaluations) * e.evaluation_s +
              static_cast<double>(w.moments) * e.moment_s() + static_cast<double>(w.stored) * e.store_s;
  e.memory_bytes = memory_of(w, e, n, p);
  return e;
}

ModelTimes guess_times(const Workload& w, const MachineRates& rates) {
  const double pair = 2 * w.gram_macs / (kKernelEfficiency * rates.gemm_flops);
  // Forward, and backward for inputs and parameters: three products of the size of an example's gradient.
  const PassTimes pass{1e-3, 3 * 2 * w.product_macs / (kKernelEfficiency * rates.gemm_flops)};
  return {pass, pass, pair};
}

}  // namespace grokscope
