// What is the gradient outer product of these examples, now?
// C = (1/N) G^T G ("second_moment"), its centred form ("covariance"), or the outer product of the one mean gradient
// ("mean"): exact spectrum, metrics, leading vectors, layers, and checks of itself. Returns values; the probe stores them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/timer.hpp"
#include "gop/metrics.hpp"
#include "gop/side.hpp"
#include "gradients/gradient_matrix.hpp"
#include "linalg/process_grid.hpp"
#include "linalg/solver_choice.hpp"

namespace grokscope {

struct RawMoments;

struct GopSettings {
  std::vector<std::string> definitions{"second_moment"};  ///< the first is primary
  MetricOptions metrics;
  std::string path = "auto";      ///< auto | gram | dense
  std::string solver = "auto";    ///< auto | lapack | two_stage | scalapack | elpa1 | elpa2
  std::string spectrum = "full";  ///< full | top_k
  bool layers = true;             ///< norms of every layer at every tracked epoch
  double memory_per_rank_gb = 8;
  std::uint64_t seed = 0;         ///< of Lanczos's start vectors
};

/// What is wanted at this moment beside the primary spectrum.
struct GopRequest {
  bool layer_spectra = false;
  bool covariance_spectrum = false;
  /// |sum_i g_i|^2 from autograd, when the same backward pass gave the training gradient.
  std::optional<double> autograd_square;
};

/// The leading eigenvectors in parameter space, kept to compare with the next tracked epoch.
struct Subspace {
  at::Tensor vectors;         ///< [share of P, k], NaN columns from `count` on
  /// Leading vectors that are no accident: lambda is above the noise floor, and |K u - lambda u| at most 1e-3 lambda.
  std::int64_t count = 0;
};

struct LayerSpectrum {
  std::string name;
  std::vector<double> eigenvalues;
  double noise_floor = 0;
  std::string path;
};

struct GopResult {
  Record record;                        ///< table "" with everything of formats.md that is the GOP's
  std::vector<double> eigenvalues;      ///< of the primary C, descending
  double noise_floor = 0;
  std::string path;                     ///< "gram" or "dense"
  std::string solver;
  std::vector<double> gram_vectors;     ///< [N, k] column-major, NaN columns from subspace.count on
  std::int64_t k = 0;
  Subspace subspace;
  std::vector<LayerSpectrum> layer_spectra;
};

class DistributedMatrix;

class GopMeter {
 public:
  /// `comm` and `log` must outlive this. Collective.
  GopMeter(const Communicator& comm, std::vector<Layer> layers, GopSettings settings, Log& log);
  /// Gives the process grid back. Collective.
  void release();

  /// Measures at one moment. `previous` may be null. `poll` is called equally often on every rank and may throw
  /// StopRequested. Cost and memory: see choose_side(); the Gram side holds two N x N matrices over all ranks. Collective.
  GopResult measure(const GradientMatrix& g, const GopRequest& request, const Subspace* previous, TimerTree& timers,
                    const std::function<void()>& poll);

 private:
  struct Work;
  void fill_gram_by_layer(Work& work);
  void fill_dense(Work& work);
  void add_layer(Work& work, const Layer& layer, const DistributedMatrix& matrix, const RawMoments& raw);
  void start_layer_spectrum(Work& work, const Layer& layer, const GopMoments& moments, const DistributedMatrix& matrix);
  void finish_layer_spectra(Work& work);
  /// True when the one layer is the whole model and the primary GOP is its GOP: nothing is computed twice.
  bool layer_is_whole() const { return layers_.size() == 1 && settings_.definitions.front() == "second_moment"; }
  void add_whole_as_layer(Work& work, std::int64_t side);
  void solve_primary(Work& work);
  void add_vectors(Work& work);
  void add_other_definitions(Work& work);
  void add_covariance(Work& work);
  void centre(const Work& work, DistributedMatrix& matrix) const;
  at::Tensor leading_matrix(Work& work, std::int64_t side) const;
  void add_directions(Work& work, const at::Tensor& gradient_sum, double square);
  void add_checks(Work& work);
  SideChoice choose_side_for(const GradientMatrix& g, IndexRange parameters) const;
  SolverChoice choose_solver_for(std::int64_t n, std::int64_t matrices = 1) const;
  void log_once(const std::string& text);

  const Communicator& comm_;
  std::vector<Layer> layers_;
  GopSettings settings_;
  Log& log_;
  ProcessGrid grid_;
  std::vector<std::string> logged_;
};

}  // namespace grokscope
