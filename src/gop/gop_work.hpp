// The state of one measurement, shared by gop.cpp and layer_gop.cpp only.
#pragma once

#include <memory>

#include "gop/gop.hpp"
#include "gop/side_matrix.hpp"
#include "linalg/eigensolver.hpp"

namespace grokscope {

struct GopMeter::Work {
  const GradientMatrix& g;
  const GopRequest& request;
  const Subspace* previous;
  TimerTree& timers;
  const std::function<void()>& poll;
  GopResult& result;
  Side side = Side::gram;
  std::unique_ptr<DistributedMatrix> matrix = {};  ///< G G^T or G^T G, then that of the primary definition
  RawMoments raw = {};
  GopMoments moments = {};                         ///< of the primary definition
  std::vector<double> gradient_sum = {};           ///< sum_i g_i, replicated; dense side only
  Spectrum spectrum = {};
  std::vector<double> leading_vectors = {};        ///< of the side solved, column-major
  double eigenpair_residual = kMissing;
  std::unique_ptr<GramBuilder> builder = {};

  /// A layer whose spectrum is wanted; `values` come from the batch unless a distributed solver gave them at once.
  struct LayerSolve {
    const Layer* layer;
    GopMoments moments;
    Side side;
    std::int64_t size;  ///< of the matrix that is solved
    std::optional<std::vector<double>> values;
  };
  std::vector<LayerSolve> layer_solves = {};
  std::unique_ptr<SpectrumBatch> batch = {};
};

}  // namespace grokscope
