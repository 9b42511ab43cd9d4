// K = G G2^T, N x N2, in tiles straight into the caller's block-cyclic storage.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "gradients/gradient_matrix.hpp"

namespace grokscope {

/// Where the elements of a distributed matrix live, and this rank's part of it (column-major). Rank r < grid_rows *
/// grid_cols sits at (r / grid_cols, r % grid_cols); other ranks hold nothing.
struct BlockCyclicTarget {
  BlockCyclic row_dist;
  BlockCyclic col_dist;
  std::span<double> local;
  std::int64_t ld = 1;

  int grid_rows() const { return row_dist.processes; }
  int grid_cols() const { return col_dist.processes; }
  bool has(int rank) const { return rank < grid_rows() * grid_cols(); }
  int grid_row(int rank) const { return rank / grid_cols(); }
  int grid_col(int rank) const { return rank % grid_cols(); }
};

enum class Part { whole, lower };

/// Adds to `target` the Gram matrix of the parameters in `parameters` (a range of the flat vector that cuts no parameter):
/// all of P for the full matrix, a layer's range for that layer. Part::lower leaves tiles wholly above the diagonal
/// untouched. `poll` is called by every rank equally often. float64 accumulation whatever the taps' type.
/// Memory per rank: the taps of its rows and columns in float64, of one parameter at a time. Collective.
class GramBuilder {
 public:
  /// For targets that are distributed as `target` is. `g` and `g2` must outlive this. Local.
  GramBuilder(const GradientMatrix& g, const GradientMatrix& g2, const BlockCyclicTarget& target);

  void add(IndexRange parameters, Part part, const BlockCyclicTarget& target, const std::function<void()>& poll) const;

 private:
  using RowsOfRanks = std::vector<std::vector<std::int64_t>>;

  void add_parameter(IndexRange parameter, Part part, const BlockCyclicTarget& target, const std::function<void()>& poll) const;

  const GradientMatrix* g_;
  const GradientMatrix* g2_;
  RowsOfRanks rows_;  ///< rows of G that each rank needs
  RowsOfRanks cols_;  ///< rows of G2 that each rank needs
  bool same_taps_;    ///< rows and columns of the tiles are the same examples of the same matrix
};

}  // namespace grokscope
