// How is a matrix cut into what a rank forms at a time?
// Panels of whole rows, bounded in memory; they are hashed as they are stored, and a journal beside the unfinished file says
// which of them need not be formed again. Shared by matrix_file.cpp and compressed_matrix.cpp only.
#pragma once

#include <span>
#include <vector>

#include "io/hdf5.hpp"
#include "io/matrix_file.hpp"
#include "io/panel_journal.hpp"

namespace grokscope {

struct Panel {
  IndexRange rows;
  std::span<const double> values;  ///< as formed; valid until the next panel is filled
};

/// The panels of this rank: equally many on every rank, the last ones empty where a rank has fewer rows.
class Panels {
 public:
  /// `spec` and `fill` must outlive this. Collective over comm.
  Panels(const Communicator& comm, const MatrixSpec& spec, IndexRange my_rows, std::int64_t panel_bytes, const FillRows& fill);

  std::int64_t rounds() const { return rounds_; }
  /// Of all ranks together. Collective over comm.
  std::int64_t count() const;
  IndexRange rows_of(std::int64_t round) const;
  /// Collective when the filling is.
  Panel fill(std::int64_t round);
  /// Rows of a panel as they are stored: rounded to float32 where that is asked for. Valid until the next call. Local.
  std::span<const std::byte> stored(const Panel& panel, IndexRange rows);

  /// The journal of this rank for the matrix in the file `path`. What its key names must not differ when an unfinished file
  /// is taken up again. Local.
  PanelJournal journal_of(const std::filesystem::path& path) const;

 private:
  const Communicator& comm_;
  const MatrixSpec& spec_;
  IndexRange my_rows_;
  const FillRows& fill_;
  std::int64_t height_ = 1;
  std::int64_t rounds_ = 0;
  std::vector<double> values_;
  std::vector<float> rounded_;
};

PanelHash hash_panel(IndexRange rows, std::span<const std::byte> stored);

/// The hashes of all ranks' panels, each given as three numbers in a row, on every rank, sorted by rows. Collective over comm.
std::vector<PanelHash> gather_hashes(const Communicator& comm, std::span<const std::uint64_t> mine);

/// The dataset, beside a matrix, that lists its panels.
inline constexpr const char* kPanelList = "panels";

/// What it holds: the hashes, sorted by rows.
NamedArray list_panels(std::span<const PanelHash> hashes);

/// Makes the dataset for so many panels. Local.
void create_panel_list(const hdf5::Handle& file, std::int64_t panels);

/// Writes description and attributes to the dataset of a matrix. Local.
void describe_matrix(const hdf5::Handle& dataset, const MatrixSpec& spec);

}  // namespace grokscope
