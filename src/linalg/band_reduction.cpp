#include "linalg/band_reduction.hpp"

#include <algorithm>

namespace grokscope {
namespace {

// Tiles of 256 x 256 doubles stay in the second-level cache between their update and their product.
constexpr std::int64_t kTile = 256;

/// The block reflector I - V T V^T of one panel, and where in the matrix its rows start.
struct Reflector {
  std::int64_t begin = 0;
  DenseMatrix v;
  DenseMatrix t;
};

/// V and W of a rank-2k update A - V W^T - W V^T that has not been applied yet.
struct Update {
  std::int64_t begin = 0;
  DenseMatrix v;
  DenseMatrix w;
};

/// The local rows (or columns) that lie at or behind a global index, and which global indices they are.
struct LocalPart {
  LocalPart(const BlockCyclic& dist, int process, std::int64_t from)
      : begin(dist.local_lower_bound(from, process)), size(dist.local_count(process) - begin) {
    global.resize(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < size; ++i) global[static_cast<std::size_t>(i)] = dist.global_index(begin + i, process);
  }
  /// The rows of `source`, whose first row is global row `source_begin`.
  DenseMatrix rows_of(const DenseMatrix& source, std::int64_t source_begin) const {
    DenseMatrix taken(size, source.cols);
    for (std::int64_t c = 0; c < source.cols; ++c) {
      for (std::int64_t i = 0; i < size; ++i) taken.at(i, c) = source.at(global[static_cast<std::size_t>(i)] - source_begin, c);
    }
    return taken;
  }
  void add_to(DenseMatrix& target, std::int64_t target_begin, const DenseMatrix& part) const {
    for (std::int64_t c = 0; c < part.cols; ++c) {
      for (std::int64_t i = 0; i < size; ++i) target.at(global[static_cast<std::size_t>(i)] - target_begin, c) += part.at(i, c);
    }
  }

  std::int64_t begin;
  std::int64_t size;
  std::vector<std::int64_t> global;
};

DenseMatrix transposed(const DenseMatrix& a) {
  DenseMatrix result(a.cols, a.rows);
  for (std::int64_t j = 0; j < a.cols; ++j) {
    for (std::int64_t i = 0; i < a.rows; ++i) result.at(j, i) = a.at(i, j);
  }
  return result;
}

DenseMatrix side_by_side(DenseMatrix left, const DenseMatrix& right) {
  left.values.insert(left.values.end(), right.values.begin(), right.values.end());
  left.cols += right.cols;
  return left;
}

MatrixView<double> window(DenseMatrix& m, std::int64_t row, std::int64_t rows, std::int64_t col, std::int64_t cols) {
  return {m.values.data() + row + col * m.rows, rows, cols, std::max<std::int64_t>(1, m.rows)};
}
MatrixView<const double> window(const DenseMatrix& m, std::int64_t row, std::int64_t rows, std::int64_t col,
                                std::int64_t cols) {
  return {m.values.data() + row + col * m.rows, rows, cols, std::max<std::int64_t>(1, m.rows)};
}

class BandReduction {
 public:
  BandReduction(DistributedMatrix& a, const Communicator& members, std::int64_t bandwidth)
      : a_(a), members_(members), n_(a.rows()), kd_(bandwidth) {}

  BandMatrix run();

 private:
  void mirror_diagonal_blocks();
  std::int64_t first_row(std::int64_t i_glob) const { return a_.row_dist().local_lower_bound(i_glob, a_.grid().row()); }
  std::int64_t first_col(std::int64_t j_glob) const { return a_.col_dist().local_lower_bound(j_glob, a_.grid().col()); }
  MatrixView<double> piece(IndexRange rows, IndexRange cols) {
    return {a_.local().data() + rows.begin + cols.begin * a_.local_ld(), rows.size(), cols.size(), a_.local_ld()};
  }
  void apply_pending(IndexRange columns);
  DenseMatrix collect(IndexRange columns) const;
  void store(const DenseMatrix& collected, std::int64_t begin, BandMatrix& band) const;
  Reflector factorise(DenseMatrix& collected, std::int64_t begin) const;
  template <class Visit>
  void for_each_piece(const LocalPart& rows, const LocalPart& cols, Visit visit) const;
  DenseMatrix update_and_multiply(const Reflector& q);
  Update update_by(const Reflector& q, const DenseMatrix& product) const;

  DistributedMatrix& a_;
  const Communicator& members_;
  std::int64_t n_;
  std::int64_t kd_;
  Update pending_;
};

BandMatrix BandReduction::run() {
  BandMatrix band;
  if (members_.is_root()) band = {n_, kd_, DenseMatrix(kd_ + 1, n_)};
  mirror_diagonal_blocks();
  for (std::int64_t begin = 0;; begin += kd_) {
    // A single row below the band is inside it already.
    const bool is_last = n_ - begin - kd_ <= 1;
    const IndexRange columns{begin, is_last ? n_ : begin + kd_};
    apply_pending(columns);
    auto collected = collect(columns);
    Reflector q;
    if (!is_last) q = factorise(collected, begin);
    if (members_.is_root()) store(collected, begin, band);
    if (is_last) return band;
    pending_ = update_by(q, update_and_multiply(q));
  }
}

/// Diagonal blocks are used whole: their upper triangles are filled once and kept up to date.
void BandReduction::mirror_diagonal_blocks() {
  if (a_.triangles() == Triangles::full) return;
  for (std::int64_t j = 0; j < a_.local_cols(); ++j) {
    const std::int64_t j_glob = a_.global_col(j);
    const std::int64_t block = j_glob / a_.nb() * a_.nb();
    if (a_.row_dist().owner(block) != a_.grid().row()) continue;
    const std::int64_t i_first = first_row(block), j_first = first_col(block);
    for (std::int64_t i = 0; i < j_glob - block; ++i) a_.local_at(i_first + i, j) = a_.local_at(i_first + j_glob - block, j_first + i);
  }
}

/// Applies the pending update to the columns of the next panel; the rest of the matrix gets it on the way to its product.
void BandReduction::apply_pending(IndexRange columns) {
  if (pending_.v.cols == 0) return;
  const IndexRange cols{first_col(columns.begin), first_col(columns.end)};
  const LocalPart rows(a_.row_dist(), a_.grid().row(), columns.begin);
  DenseMatrix wv(2 * kd_, cols.size());
  for (std::int64_t c = 0; c < cols.size(); ++c) {
    const std::int64_t from = a_.global_col(cols.begin + c) - pending_.begin;
    for (std::int64_t k = 0; k < kd_; ++k) {
      wv.at(k, c) = pending_.w.at(from, k);
      wv.at(kd_ + k, c) = pending_.v.at(from, k);
    }
  }
  const auto vw = side_by_side(rows.rows_of(pending_.v, pending_.begin), rows.rows_of(pending_.w, pending_.begin));
  gemm(-1, Op::none, vw.view(), wv.view(), 1, piece({rows.begin, rows.begin + rows.size}, cols));
}

/// The columns from their first row on, on the root.
DenseMatrix BandReduction::collect(IndexRange columns) const {
  const auto local_size = [&](int row, int col) {
    const auto rows = a_.row_dist().local_count(row) - a_.row_dist().local_lower_bound(columns.begin, row);
    const auto cols = a_.col_dist().local_lower_bound(columns.end, col) - a_.col_dist().local_lower_bound(columns.begin, col);
    return rows * cols;
  };
  std::vector<double> mine;
  mine.reserve(static_cast<std::size_t>(local_size(a_.grid().row(), a_.grid().col())));
  for (std::int64_t j = first_col(columns.begin); j < first_col(columns.end); ++j) {
    const auto column = a_.local().subspan(static_cast<std::size_t>(j * a_.local_ld()), static_cast<std::size_t>(a_.local_rows()));
    mine.insert(mine.end(), column.begin() + first_row(columns.begin), column.end());
  }
  std::vector<std::int64_t> counts;
  for (int rank = 0; rank < members_.size(); ++rank) {
    counts.push_back(local_size(rank / a_.grid().shape().cols, rank % a_.grid().shape().cols));
  }
  const auto all = members_.gather<double>(mine, counts);
  if (!members_.is_root()) return {};
  DenseMatrix collected(n_ - columns.begin, columns.size());
  const double* next = all.data();
  for (int rank = 0; rank < members_.size(); ++rank) {
    const int row = rank / a_.grid().shape().cols, col = rank % a_.grid().shape().cols;
    const LocalPart rows(a_.row_dist(), row, columns.begin);
    const auto end = a_.col_dist().local_lower_bound(columns.end, col);
    for (auto j = a_.col_dist().local_lower_bound(columns.begin, col); j < end; ++j) {
      const auto c = a_.col_dist().global_index(j, col) - columns.begin;
      for (const auto i : rows.global) collected.at(i - columns.begin, c) = *next++;
    }
  }
  return collected;
}

/// Writes the part of the collected columns that lies inside the band.
void BandReduction::store(const DenseMatrix& collected, std::int64_t begin, BandMatrix& band) const {
  for (std::int64_t c = 0; c < collected.cols; ++c) {
    const std::int64_t end = std::min(collected.rows, c + kd_ + 1);
    for (std::int64_t i = c; i < end; ++i) band.lower.at(i - c, begin + c) = collected.at(i, c);
  }
}

/// QR of the part below the band, on the root, which keeps R in `collected`; V and T go to all.
Reflector BandReduction::factorise(DenseMatrix& collected, std::int64_t begin) const {
  const std::int64_t m = n_ - begin - kd_;
  Reflector q{begin + kd_, DenseMatrix(m, kd_), DenseMatrix(kd_, kd_)};
  if (members_.is_root()) {
    // Rows of zeros make the last panels tall enough; their reflectors are the identity.
    DenseMatrix panel(std::max(m, kd_), kd_);
    for (std::int64_t c = 0; c < kd_; ++c) std::copy_n(collected.column(c) + kd_, m, panel.column(c));
    const int rows = fortran_int(panel.rows), cols = fortran_int(kd_);
    int info = 0;
    dgeqrt3_(&rows, &cols, panel.values.data(), &rows, q.t.values.data(), &cols, &info);
    require(info == 0, "dgeqrt3 refused a panel");
    for (std::int64_t c = 0; c < kd_; ++c) {
      std::copy_n(panel.column(c), std::min(c + 1, m), collected.column(c) + kd_);  // R; what is below it counts as zero
      for (std::int64_t i = c; i < m; ++i) q.v.at(i, c) = i == c ? 1 : panel.at(i, c);
      for (std::int64_t i = c + 1; i < kd_; ++i) q.t.at(i, c) = 0;
    }
  }
  members_.broadcast<double>(q.v.values);
  members_.broadcast<double>(q.t.values);
  return q;
}

/// One block column of the trailing part, as local indices that count from where that part begins.
struct BlockColumn {
  IndexRange cols;
  IndexRange diagonal;  ///< rows of its diagonal block; empty, but in place, where another process has that block
};

/// Calls visit(rows, cols, is_diagonal) for tiles that cover the lower triangle of this process's trailing part. A diagonal
/// block stands for itself, any other tile for its mirror image as well.
template <class Visit>
void BandReduction::for_each_piece(const LocalPart& rows, const LocalPart& cols, Visit visit) const {
  std::vector<BlockColumn> blocks;
  for (std::int64_t c = 0; c < cols.size; c = blocks.back().cols.end) {
    const auto j_glob = cols.global[static_cast<std::size_t>(c)];
    const auto j_end = std::min((j_glob / a_.nb() + 1) * a_.nb(), n_);
    blocks.push_back({{c, c + j_end - j_glob}, {first_row(j_glob) - rows.begin, first_row(j_end) - rows.begin}});
  }
  const auto visit_if_any = [&](IndexRange r, IndexRange c, bool is_diagonal) {
    if (r.size() > 0) visit(r, c, is_diagonal);
  };
  for (std::size_t first = 0, last = 0; first < blocks.size(); first = last) {
    const auto begin = blocks[first].cols.begin;
    while (last < blocks.size() && (last == first || blocks[last].cols.end - begin <= kTile)) ++last;
    const auto below = blocks[last - 1].diagonal.end;
    for (std::size_t b = first; b < last; ++b) {
      visit_if_any(blocks[b].diagonal, blocks[b].cols, true);
      visit_if_any({blocks[b].diagonal.end, below}, blocks[b].cols, false);
    }
    const IndexRange group{begin, blocks[last - 1].cols.end};
    for (auto r = below; r < rows.size; r += kTile) visit_if_any({r, std::min(r + kTile, rows.size)}, group, false);
  }
}

/// Returns A V for the trailing matrix A, whose tiles get the pending update on the way.
DenseMatrix BandReduction::update_and_multiply(const Reflector& q) {
  const LocalPart rows(a_.row_dist(), a_.grid().row(), q.begin), cols(a_.col_dist(), a_.grid().col(), q.begin);
  const auto v_rows = rows.rows_of(q.v, q.begin), v_cols = cols.rows_of(q.v, q.begin);
  DenseMatrix vw, wv;
  if (pending_.v.cols > 0) {
    vw = side_by_side(rows.rows_of(pending_.v, pending_.begin), rows.rows_of(pending_.w, pending_.begin));
    wv = transposed(side_by_side(cols.rows_of(pending_.w, pending_.begin), cols.rows_of(pending_.v, pending_.begin)));
  }
  DenseMatrix y_rows(rows.size, kd_), y_cols(cols.size, kd_);
  for_each_piece(rows, cols, [&](IndexRange r, IndexRange c, bool is_diagonal) {
    const auto tile = piece({rows.begin + r.begin, rows.begin + r.end}, {cols.begin + c.begin, cols.begin + c.end});
    if (vw.cols > 0) {
      gemm(-1, Op::none, window(vw, r.begin, r.size(), 0, 2 * kd_), window(wv, 0, 2 * kd_, c.begin, c.size()), 1, tile);
    }
    gemm(1, Op::none, tile, window(v_cols, c.begin, c.size(), 0, kd_), 1, window(y_rows, r.begin, r.size(), 0, kd_));
    if (is_diagonal) return;
    gemm(1, Op::transpose, tile, window(v_rows, r.begin, r.size(), 0, kd_), 1, window(y_cols, c.begin, c.size(), 0, kd_));
  });
  DenseMatrix product(n_ - q.begin, kd_);
  rows.add_to(product, q.begin, y_rows);
  cols.add_to(product, q.begin, y_cols);
  members_.sum_slices_in_rank_order<double>(product.values);
  return product;
}

Update BandReduction::update_by(const Reflector& q, const DenseMatrix& product) const {
  Update update{q.begin, q.v, DenseMatrix(product.rows, kd_)};
  auto& x = update.w;
  gemm(1, Op::none, product.view(), q.t.view(), 0, x.view());
  DenseMatrix vx(kd_, kd_), s(kd_, kd_);
  gemm(1, Op::transpose, q.v.view(), x.view(), 0, vx.view());
  gemm(1, Op::transpose, q.t.view(), vx.view(), 0, s.view());
  gemm(-0.5, Op::none, q.v.view(), s.view(), 1, x.view());
  return update;
}

}  // namespace

BandMatrix reduce_to_band(DistributedMatrix& a, const Communicator& members, std::int64_t bandwidth) {
  require(bandwidth >= 1 && bandwidth < a.rows(), "a band must be narrower than its matrix and wider than its diagonal");
  require(members.size() == a.grid().shape().size(), "every member of the grid takes part in a band reduction, nobody else");
  return BandReduction(a, members, bandwidth).run();
}

}  // namespace grokscope
