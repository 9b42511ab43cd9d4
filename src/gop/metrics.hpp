// Which numbers follow from a spectrum?
// Pure functions of eigenvalues and moments; the definitions are mathematics.md's, published by quantities.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/record.hpp"
#include "gop/quantities.hpp"

namespace grokscope {

/// What is known without any eigenvalue. C is the normalised GOP.
struct GopMoments {
  std::int64_t examples = 0;    ///< N
  std::int64_t parameters = 0;  ///< P
  double trace = 0;             ///< tr C
  double frobenius = 0;         ///< |C|_F
  double mean_gradient_norm = 0;
  Definition definition = Definition::second_moment;  ///< of C
};

struct MetricOptions {
  std::int64_t top_k = 10;
  double rank_threshold = 1e-6;
  double regularisation = 1e-6;  ///< mu of log det(I + C/mu)
};

/// 4 n eps lambda_1: below it an eigenvalue of a side of size n solved in float64 is numerically zero.
double noise_floor(double lambda_1, std::int64_t side);

/// Adds what follows from the moments alone. `lambda_1` adds spectral norm and stable rank.
void add_moment_metrics(Record& record, const std::string& prefix, const GopMoments& moments,
                        std::optional<double> lambda_1);

/// Adds everything that needs eigenvalues. `eigenvalues`: descending, of C, at least min(N,P) of them for a full spectrum,
/// or only the top ones (then what needs all of them is NaN). `side` is the size of the matrix that was solved.
void add_spectrum_metrics(Record& record, const std::string& prefix, const GopMoments& moments,
                          const std::vector<double>& eigenvalues, std::int64_t side, const MetricOptions& options);

/// The top k eigenvalues, padded with NaN.
std::vector<double> top_values(const std::vector<double>& eigenvalues, std::int64_t k);

}  // namespace grokscope
