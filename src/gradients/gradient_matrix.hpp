// The operator G: N x P, row i the gradient of the loss of example i. It is never stored; each rank holds the taps of its
// own examples, and everything is asked through
//   gram (gram.hpp)            G G2^T          N x N2
//   panel (panel.hpp)          G^T G blocks    P x P
//   weighted_sum, apply (products.hpp)         G^T V, G U
#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "comm/communicator.hpp"
#include "nn/tape.hpp"

namespace grokscope {

class GradientMatrix {
 public:
  /// `mine` holds this rank's examples; ranks hold consecutive ranges of the rows in rank order (also empty ones).
  /// `comm` must outlive this. Collective.
  GradientMatrix(const Communicator& comm, Taps mine);

  std::int64_t rows() const { return offsets_.back(); }
  std::int64_t cols() const { return mine_.parameter_count(); }
  IndexRange my_rows() const { return rows_of(comm_->rank()); }
  IndexRange rows_of(int rank) const;
  const Taps& mine() const { return mine_; }
  const Communicator& comm() const { return *comm_; }

  /// Returns the taps that meet one of the ranges `parameters` of the flat vector, of the rows that this rank wants, in
  /// ascending order. `wanted(r)` lists the rows that rank r wants, ascending; it and `parameters` must be the same on every
  /// rank. Memory: those taps of those rows. Collective.
  Taps fetch_rows(std::initializer_list<IndexRange> parameters,
                  const std::function<std::vector<std::int64_t>(int rank)>& wanted) const;

 private:
  const Communicator* comm_;
  Taps mine_;
  std::vector<std::int64_t> offsets_;
};

/// The taps of several sets of examples, one after the other. All come from the same model at the same parameters.
Taps concatenate_rows(const std::vector<Taps>& parts);

/// The taps of rows begin..end-1, as views.
Taps slice_rows(const Taps& taps, IndexRange range);
Tap slice_rows(const Tap& tap, IndexRange range);

}  // namespace grokscope
