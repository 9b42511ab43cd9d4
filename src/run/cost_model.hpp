// How long will it take, and in how much memory, on ranks that nobody has started yet?
// Pure functions of a workload (sizes, policies, and what was timed of this model) and of the rates of a machine. The
// estimate informs a person; nothing that is computed ever depends on it. The sums are those of mathematics.md; times on p
// processes follow eq. (5.1) of the ScaLAPACK Users' Guide,
//   T = C_f n^3/p t_f + C_v n^2/sqrt(p) t_v + C_m n/nb t_m.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gop/side.hpp"
#include "linalg/solver_choice.hpp"

namespace grokscope {

/// Ranks up to which times were ever compared with the model; beyond, they are extrapolated.
inline constexpr int kMeasuredRanks = 2;

/// What a machine does in a second. The defaults are those of the one that the solver's table was measured on: 2 AMD EPYC
/// cores (AVX-512) and a virtual disk.
struct MachineRates {
  double gemm_flops = 49.5e9;    ///< float64 matrix product, each rank
  double memory_bytes = 20e9;    ///< read and written in a copy, each rank
  double disk_bytes = 1.0e9;     ///< written and synced, all ranks together
  double latency_s = 2e-6;       ///< of a message between two ranks
  double network_bytes = 5e9;    ///< between two ranks
};

/// Forward and backward on one rank.
struct PassTimes {
  double overhead_s = 0;         ///< whatever the batch
  double example_s = 0;          ///< and for each example of it
  double of(double examples) const { return examples > 0 ? overhead_s + example_s * examples : 0; }
};

/// What was timed of one model, on one rank; or guessed from counts.
struct ModelTimes {
  PassTimes plain;               ///< of a training step
  PassTimes taped;               ///< with the factors of per-example gradients
  double gram_pair_s = 0;        ///< inner product of two examples' gradients, all parameters
};

struct LayerSize {
  std::int64_t parameters = 0;
  double gram_macs = 0;          ///< a pair
};

/// A run, as far as its cost goes.
struct Workload {
  std::int64_t examples = 0, tracked = 0, test_examples = 0;   ///< N is `tracked`
  std::int64_t parameters = 0;                                 ///< P
  double parameter_bytes = 0;                                  ///< of all parameters, as they are trained
  std::int64_t batch = 0, steps = 0, epochs = 0, evaluations = 0;
  std::int64_t moments = 0;                                    ///< that are tracked
  std::int64_t storable = 0;                                   ///< of these, when matrices or factors are due, wanted or not
  std::int64_t wanted = 0;                                     ///< when the schedule of matrices is due, tracked or not
  std::int64_t stored = 0;                                     ///< of these, with matrices or factors
  std::vector<LayerSize> layers;
  double gram_macs = 0;                                        ///< a pair, all parameters
  double product_macs = 0;                                     ///< an example's gradient times one vector of P
  double tap_bytes = 0;                                        ///< of all tracked examples
  double largest_tap_bytes = 0;                                ///< of the parameter that has most of them
  double dense_flops = 0;                                      ///< to form what is stored at one moment
  double stored_bytes = 0;                                     ///< written at one moment beside spectra
  double panel_bytes = 0;                                      ///< buffer of a rank while a matrix is written
  double memory_per_rank_gb = 8;
  std::int64_t top_k = 10, layer_spectra = 10, covariance_spectra = 10;
  bool full_spectrum = true, layer_norms = true, shares_backward = false;
  std::string path = "auto", solver = "auto";
};

/// Seconds, of one training step and of one tracked moment, and bytes.
struct CostEstimate {
  SideChoice side;
  SolverChoice solver;
  double step_s = 0, evaluation_s = 0;
  double pass_s = 0;      ///< taps: a pass of its own, or what they add to that of the training step
  double fill_s = 0;      ///< the matrix that is diagonalised, layer by layer on the Gram side
  double layers_s = 0;    ///< norms, and the share of spectra, of layers and covariance, that falls on one moment
  double solve_s = 0;     ///< all eigenvalues
  double vectors_s = 0;   ///< top k and their products with G
  double store_s = 0;     ///< of a moment that is stored: forming and writing overlap
  double total_s = 0;     ///< of the whole run
  double memory_bytes = 0;  ///< of the rank that needs most
  bool is_extrapolated = false;

  double moment_s() const { return pass_s + fill_s + layers_s + solve_s + vectors_s; }
};

/// All eigenvalues of an n x n matrix. Local.
double solve_seconds(const SolverChoice& choice, std::int64_t n, const MachineRates& rates);

/// Local; throws UserError for an unknown side or solver.
CostEstimate estimate_cost(const Workload& work, const ModelTimes& times, const MachineRates& rates, int ranks);

/// Times from counts alone, for a machine of these rates. Local.
ModelTimes guess_times(const Workload& work, const MachineRates& rates);

}  // namespace grokscope
