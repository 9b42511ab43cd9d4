// Which process sits where on the rows x cols grid of a distributed matrix?
// Owns a BLACS context over the first rows*cols ranks of a communicator (any communicator, split ones too),
// in row-major order. Ranks beyond are non-members: they hold no elements but take part in every collective.
// BLACS contexts are MPI communicators in disguise, so a grid is given back by release(), never by its
// destructor.
#pragma once

#include "comm/communicator.hpp"

namespace grokscope {

struct GridShape {
  int rows = 1;
  int cols = 1;
  int size() const { return rows * cols; }
  bool operator==(const GridShape&) const = default;
};

/// Returns the shape that uses every rank, as near to a square as that allows (13 ranks: 1 x 13): Gram tiles
/// are independent work, so no rank may be idle. Local.
GridShape filling_shape(int ranks);

/// Returns the largest shape of at most `ranks` processes whose sides differ by a factor of 2 or less (13
/// ranks: 3 x 4), the nearest to a square among equals: eigensolvers slow down more from a long grid than
/// from an idle rank. Local.
GridShape solving_shape(int ranks);

class ProcessGrid {
 public:
  /// Builds the context and sets it to sum in a repeatable order. `comm` must outlive the grid. Collective
  /// over `comm`.
  ProcessGrid(const Communicator& comm, GridShape shape);

  ProcessGrid(ProcessGrid&& other) noexcept;
  ProcessGrid& operator=(ProcessGrid&& other) noexcept;
  ProcessGrid(const ProcessGrid&) = delete;
  ProcessGrid& operator=(const ProcessGrid&) = delete;
  ~ProcessGrid() = default;

  /// Gives the context back; the grid's matrices must not be used in ScaLAPACK calls any more. Collective
  /// over comm().
  void release();

  const Communicator& comm() const { return *comm_; }
  GridShape shape() const { return shape_; }
  bool is_member() const { return row_ >= 0; }
  /// This process's coordinates, -1 for a non-member.
  int row() const { return row_; }
  int col() const { return col_; }
  /// The rank in comm() of the process at (row, col).
  int rank_of(int row, int col) const { return row * shape_.cols + col; }
  /// The BLACS context, -1 for a non-member.
  int context() const { return context_; }

 private:
  void check_against_blacs() const;

  const Communicator* comm_;
  GridShape shape_;
  int row_ = -1;
  int col_ = -1;
  int context_ = -1;
};

}  // namespace grokscope
