#include "linalg/redistribution.hpp"

#include <algorithm>
#include <cstring>

namespace grokscope {
namespace {

using Messages = std::vector<std::vector<double>>;

/// One side of a redistribution: how the matrix is dealt and where this process sits (row -1: it holds
/// nothing).
struct Layout {
  BlockCyclic rows;
  BlockCyclic cols;
  int row = -1;
  int col = -1;
  int first_rank = 0;  ///< of the grid

  int rank_of(int r, int c) const { return first_rank + r * cols.processes + c; }
  std::int64_t local_ld() const { return row < 0 ? 0 : rows.local_count(row); }
  /// This process's local columns whose global index lies in `panel`.
  IndexRange local_cols(IndexRange panel) const {
    if (row < 0) return {};
    return {cols.local_lower_bound(panel.begin, col), cols.local_lower_bound(panel.end, col)};
  }
};

Layout layout_of(const DistributedMatrix& matrix) {
  return {matrix.row_dist(), matrix.col_dist(), matrix.grid().row(), matrix.grid().col()};
}

/// Consecutive local rows that belong to one process row of the other layout.
struct Run {
  std::int64_t i_loc = 0;
  std::int64_t size = 0;
  int peer_row = 0;
};

std::vector<Run> runs_of(const Layout& mine, const Layout& other) {
  std::vector<Run> runs;
  const std::int64_t count = mine.local_ld();
  for (std::int64_t i_loc = 0; i_loc < count; i_loc += runs.back().size) {
    const std::int64_t i_glob = mine.rows.global_index(i_loc, mine.row);
    const std::int64_t to_my_edge = mine.rows.nb - i_glob % mine.rows.nb;
    const std::int64_t to_their_edge = other.rows.nb - i_glob % other.rows.nb;
    runs.push_back({i_loc, std::min({to_my_edge, to_their_edge, count - i_loc}), other.rows.owner(i_glob)});
  }
  return runs;
}

/// Splits the columns into panels whose messages take about 64 MB on each rank.
std::vector<IndexRange> panels_of(std::int64_t rows, std::int64_t cols, int ranks) {
  constexpr std::int64_t kElements = 8'000'000;
  const std::int64_t width = std::max<std::int64_t>(1, kElements * ranks / std::max<std::int64_t>(1, rows));
  std::vector<IndexRange> panels;
  for (std::int64_t begin = 0; begin < cols; begin += width)
    panels.push_back({begin, std::min(cols, begin + width)});
  return panels;
}

Messages pack(const Layout& from, const Layout& to, std::span<const double> source, IndexRange panel,
              int ranks) {
  Messages send(static_cast<std::size_t>(ranks));
  const auto runs = runs_of(from, to);
  const auto cols = from.local_cols(panel);
  for (std::int64_t j_loc = cols.begin; j_loc < cols.end; ++j_loc) {
    const int peer_col = to.cols.owner(from.cols.global_index(j_loc, from.col));
    const auto column = source.subspan(static_cast<std::size_t>(j_loc * from.local_ld()));
    for (const Run& run : runs) {
      auto& message = send[static_cast<std::size_t>(to.rank_of(run.peer_row, peer_col))];
      const auto part =
          column.subspan(static_cast<std::size_t>(run.i_loc), static_cast<std::size_t>(run.size));
      message.insert(message.end(), part.begin(), part.end());
    }
  }
  return send;
}

/// Takes the elements in the order in which pack() of each sender put them: by global column, then by global
/// row.
void unpack(const Layout& from, const Layout& to, const Messages& received, IndexRange panel,
            std::span<double> target) {
  std::vector<std::size_t> next(received.size());
  const auto runs = runs_of(to, from);
  const auto cols = to.local_cols(panel);
  for (std::int64_t j_loc = cols.begin; j_loc < cols.end; ++j_loc) {
    const int peer_col = from.cols.owner(to.cols.global_index(j_loc, to.col));
    double* column = target.data() + j_loc * to.local_ld();
    for (const Run& run : runs) {
      const auto peer = static_cast<std::size_t>(from.rank_of(run.peer_row, peer_col));
      std::copy_n(received[peer].data() + next[peer], run.size, column + run.i_loc);
      next[peer] += static_cast<std::size_t>(run.size);
    }
  }
}

void redistribute(const Communicator& comm, const Layout& from, std::span<const double> source,
                  const Layout& to, std::span<double> target) {
  for (const IndexRange panel : panels_of(from.rows.n, from.cols.n, comm.size())) {
    unpack(from, to, comm.exchange(pack(from, to, source, panel, comm.size())), panel, target);
  }
}

/// The elements strictly below the diagonal in the columns of `panel`, each for the rank that holds its
/// mirror image.
Messages pack_mirrored(const DistributedMatrix& matrix, IndexRange panel) {
  const Layout layout = layout_of(matrix);
  Messages send(static_cast<std::size_t>(matrix.comm().size()));
  const auto cols = layout.local_cols(panel);
  for (std::int64_t j_loc = cols.begin; j_loc < cols.end; ++j_loc) {
    const std::int64_t j_glob = matrix.global_col(j_loc);
    const int peer_row = layout.rows.owner(j_glob);
    for (std::int64_t i_loc = layout.rows.local_lower_bound(j_glob + 1, layout.row);
         i_loc < matrix.local_rows(); ++i_loc) {
      const int peer_col = layout.cols.owner(matrix.global_row(i_loc));
      send[static_cast<std::size_t>(layout.rank_of(peer_row, peer_col))].push_back(
          matrix.local_at(i_loc, j_loc));
    }
  }
  return send;
}

/// Fills the rows of `panel` above the diagonal, in the order of pack_mirrored().
void unpack_mirrored(DistributedMatrix& matrix, const Messages& received, IndexRange panel) {
  const Layout layout = layout_of(matrix);
  if (!matrix.grid().is_member()) return;
  std::vector<std::size_t> next(received.size());
  const std::int64_t end = layout.rows.local_lower_bound(panel.end, layout.row);
  for (std::int64_t i_loc = layout.rows.local_lower_bound(panel.begin, layout.row); i_loc < end; ++i_loc) {
    const std::int64_t i_glob = matrix.global_row(i_loc);
    const int peer_col = layout.cols.owner(i_glob);
    for (std::int64_t j_loc = layout.cols.local_lower_bound(i_glob + 1, layout.col);
         j_loc < matrix.local_cols(); ++j_loc) {
      const auto peer =
          static_cast<std::size_t>(layout.rank_of(layout.rows.owner(matrix.global_col(j_loc)), peer_col));
      matrix.local_at(i_loc, j_loc) = received[peer][next[peer]++];
    }
  }
}

/// The elements on and below the diagonal of the block from `first` on, in the columns of `panel` (of the block), each for
/// the rank that holds it in the block.
Messages pack_block(const DistributedMatrix& matrix, const DistributedMatrix& block, std::int64_t first, IndexRange panel) {
  const Layout from = layout_of(matrix), to = layout_of(block);
  Messages send(static_cast<std::size_t>(matrix.comm().size()));
  const auto cols = from.local_cols({first + panel.begin, first + panel.end});
  const auto end = from.row < 0 ? 0 : from.rows.local_lower_bound(first + block.rows(), from.row);
  for (std::int64_t j_loc = cols.begin; j_loc < cols.end; ++j_loc) {
    const std::int64_t j_glob = matrix.global_col(j_loc);
    const int peer_col = to.cols.owner(j_glob - first);
    for (std::int64_t i_loc = from.rows.local_lower_bound(j_glob, from.row); i_loc < end; ++i_loc) {
      const int peer_row = to.rows.owner(matrix.global_row(i_loc) - first);
      send[static_cast<std::size_t>(to.rank_of(peer_row, peer_col))].push_back(matrix.local_at(i_loc, j_loc));
    }
  }
  return send;
}

/// Takes them in the order of pack_block(): by column, then by row.
void unpack_block(const DistributedMatrix& matrix, DistributedMatrix& block, const Messages& received, std::int64_t first,
                  IndexRange panel) {
  const Layout from = layout_of(matrix), to = layout_of(block);
  std::vector<std::size_t> next(received.size());
  const auto cols = to.local_cols(panel);
  for (std::int64_t j_loc = cols.begin; j_loc < cols.end; ++j_loc) {
    const std::int64_t j_glob = block.global_col(j_loc);
    const int peer_col = from.cols.owner(first + j_glob);
    for (std::int64_t i_loc = to.rows.local_lower_bound(j_glob, to.row); i_loc < block.local_rows(); ++i_loc) {
      const int peer_row = from.rows.owner(first + block.global_row(i_loc));
      const auto peer = static_cast<std::size_t>(from.rank_of(peer_row, peer_col));
      block.local_at(i_loc, j_loc) = received[peer][next[peer]++];
    }
  }
}

}  // namespace

DistributedMatrix diagonal_block(const DistributedMatrix& matrix, IndexRange range, std::int64_t nb) {
  require(0 <= range.begin && range.begin <= range.end && range.end <= std::min(matrix.rows(), matrix.cols()),
          "a diagonal block lies outside its matrix");
  DistributedMatrix block(range.size(), range.size(), nb, matrix.grid());
  block.set_triangles(Triangles::lower);
  for (const IndexRange panel : panels_of(range.size(), range.size(), matrix.comm().size())) {
    const auto received = matrix.comm().exchange(pack_block(matrix, block, range.begin, panel));
    unpack_block(matrix, block, received, range.begin, panel);
  }
  return block;
}

void mirror_lower(DistributedMatrix& matrix) {
  require(matrix.rows() == matrix.cols(), "only a square matrix can be mirrored");
  if (matrix.triangles() == Triangles::full) return;
  for (const IndexRange panel : panels_of(matrix.rows(), matrix.cols(), matrix.comm().size())) {
    unpack_mirrored(matrix, matrix.comm().exchange(pack_mirrored(matrix, panel)), panel);
  }
  matrix.set_triangles(Triangles::full);
}

DistributedMatrix move_to(const DistributedMatrix& matrix, const ProcessGrid& grid, std::int64_t nb) {
  require(grid.comm().size() == matrix.comm().size(), "a matrix can only move within its communicator");
  DistributedMatrix moved(matrix.rows(), matrix.cols(), nb, grid);
  moved.set_triangles(matrix.triangles());
  if (moved.same_layout(matrix)) {
    std::copy(matrix.local().begin(), matrix.local().end(), moved.local().begin());
  } else {
    redistribute(matrix.comm(), layout_of(matrix), matrix.local(), layout_of(moved), moved.local());
  }
  return moved;
}

std::vector<double> gather_to(const DistributedMatrix& matrix, int rank) {
  const bool is_target = matrix.comm().rank() == rank;
  const int place = is_target ? 0 : -1;
  const Layout one_process{{matrix.rows(), std::max<std::int64_t>(1, matrix.rows()), 1},
                           {matrix.cols(), std::max<std::int64_t>(1, matrix.cols()), 1},
                           place, place, rank};
  if (matrix.comm().size() == 1) return {matrix.local().begin(), matrix.local().end()};
  std::vector<double> whole(is_target ? static_cast<std::size_t>(matrix.rows() * matrix.cols()) : 0);
  redistribute(matrix.comm(), layout_of(matrix), matrix.local(), one_process, whole);
  return whole;
}

std::vector<double> gather_to_root(const DistributedMatrix& matrix) { return gather_to(matrix, 0); }

}  // namespace grokscope
