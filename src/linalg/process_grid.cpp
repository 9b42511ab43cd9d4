#include "linalg/process_grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "linalg/scalapack.hpp"

namespace grokscope {
namespace {

// What BLACS_SET calls them (BLACS manual, "what" of blacs_get and blacs_set).
constexpr int kRepeatableTopologies = 15;
constexpr int kCoherentTopologies = 16;

}  // namespace

GridShape filling_shape(int ranks) {
  require(ranks >= 1, "a process grid needs at least one rank");
  GridShape best{1, ranks};
  for (int rows = 2; rows * rows <= ranks; ++rows) {
    if (ranks % rows == 0) best = {rows, ranks / rows};
  }
  return best;
}

GridShape solving_shape(int ranks) {
  require(ranks >= 1, "a process grid needs at least one rank");
  GridShape best{1, 1};
  for (int rows = 1; rows * rows <= ranks; ++rows) {
    const GridShape shape{rows, std::min(2 * rows, ranks / rows)};
    if (shape.size() >= best.size()) best = shape;
  }
  return best;
}

ProcessGrid::ProcessGrid(const Communicator& comm, GridShape shape) : comm_(&comm), shape_(shape) {
  require(shape.rows >= 1 && shape.cols >= 1 && shape.size() <= comm.size(),
          "a process grid larger than its communicator");
  if (comm.rank() < shape.size()) {
    row_ = comm.rank() / shape.cols;
    col_ = comm.rank() % shape.cols;
  }
  std::vector<int> ranks(static_cast<std::size_t>(shape.size()));
  for (int i = 0; i < shape.rows; ++i) {
    for (int j = 0; j < shape.cols; ++j) ranks[static_cast<std::size_t>(i + j * shape.rows)] = rank_of(i, j);
  }
  const int system_handle = Csys2blacs_handle(comm.get());
  context_ = system_handle;
  Cblacs_gridmap(&context_, ranks.data(), shape.rows, shape.rows, shape.cols);
  Cfree_blacs_system_handle(system_handle);
  check_against_blacs();
  if (!is_member()) return;
  int on = 1;
  Cblacs_set(context_, kRepeatableTopologies, &on);
  Cblacs_set(context_, kCoherentTopologies, &on);
}

void ProcessGrid::check_against_blacs() const {
  comm_->agree([&] {
    int rows = -1;
    int cols = -1;
    int row = -1;
    int col = -1;
    if (context_ >= 0) Cblacs_gridinfo(context_, &rows, &cols, &row, &col);
    const bool same_place = row == row_ && col == col_;
    const bool same_shape = !is_member() || (rows == shape_.rows && cols == shape_.cols);
    if (same_place && same_shape) return;
    throw InternalError(
        fmt::format("BLACS and MPI disagree about the process grid: by MPI rank {} is at ({}, {}) of "
                    "{} x {}, by BLACS at ({}, {}) of {} x {}",
                    comm_->rank(), row_, col_, shape_.rows, shape_.cols, row, col, rows, cols));
  });
}

ProcessGrid::ProcessGrid(ProcessGrid&& other) noexcept
    : comm_(other.comm_),
      shape_(other.shape_),
      row_(other.row_),
      col_(other.col_),
      context_(std::exchange(other.context_, -1)) {}

ProcessGrid& ProcessGrid::operator=(ProcessGrid&& other) noexcept {
  std::swap(comm_, other.comm_);
  std::swap(shape_, other.shape_);
  std::swap(row_, other.row_);
  std::swap(col_, other.col_);
  std::swap(context_, other.context_);
  return *this;
}

void ProcessGrid::release() {
  if (context_ >= 0) Cblacs_gridexit(std::exchange(context_, -1));
}

}  // namespace grokscope
