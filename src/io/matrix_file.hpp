// How does a matrix that no rank can hold get to the disk?
// Ranks fill panels of whole rows in a bounded buffer and write them side by side: contiguous whole-row
// panels are ten times as fast as chunks or block-cyclic selections. Each panel's hash is taken while it is
// written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/block_cyclic.hpp"
#include "base/named_array.hpp"
#include "comm/communicator.hpp"
#include "io/attributes.hpp"
#include "io/checkpoint.hpp"

namespace grokscope {

struct MatrixSpec {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  DType dtype = DType::float64;  ///< float32 or float64
  int gzip_level = 0;            ///< 0 means contiguous and uncompressed
  Description description{};
  /// Of everything that the elements follow from. Not 0: a file that was left unfinished is taken up at the first panel
  /// that had not reached the disk, when identity, sizes, ranks and panel_bytes are the same.
  std::uint64_t identity = 0;
  std::int64_t tile = 0;         ///< not 0: a row is a tile, and the dataset is [rows, tile, tile]
  Attributes attributes{};       ///< of the dataset

  std::vector<std::int64_t> shape() const {
    return tile > 0 ? std::vector{rows, tile, tile} : std::vector{rows, cols};
  }
  std::int64_t bytes() const { return rows * cols * static_cast<std::int64_t>(size_of(dtype)); }
};

/// Writes the rows `rows` (global indices), row-major, into `out`. It is called equally often on every rank,
/// at the end with empty ranges on those that have fewer rows, so that it may be collective itself.
using FillRows = std::function<void(IndexRange rows, std::span<double> out)>;

/// Hears how much is done: before each panel that is formed, and at the end. Not on every rank.
using PanelProgress = std::function<void(std::int64_t done, std::int64_t all)>;

/// Is called before each panel that is formed, on all ranks at once. A StopRequested that it throws on all of them leaves the
/// matrix unfinished, with everything so far on the disk.
using PanelStart = std::function<void()>;

/// Writes a matrix to a file of its own, as dataset `name`. Ranks hold contiguous rows in rank order;
/// `panel_bytes` bounds the buffer of doubles on each rank. An uncompressed matrix is written in parallel. Of a
/// compressed one each rank packs its own panels, into files beside it, from which the root puts it together
/// (compressed_matrix.hpp). Throws what `start` throws. Collective over comm.
CommittedFile write_matrix_file(const Communicator& comm, const std::filesystem::path& path,
                                const std::string& name, const MatrixSpec& spec, IndexRange my_rows,
                                std::int64_t panel_bytes, const FillRows& fill, const PanelProgress& progress = {},
                                const PanelStart& start = {});

/// Gathers a small matrix to the root; other ranks get an empty array. Collective over comm.
NamedArray gather_matrix(const Communicator& comm, const std::string& name, const MatrixSpec& spec,
                         IndexRange my_rows, std::int64_t panel_bytes, const FillRows& fill);

/// Throws EnvironmentError unless the file has the size, the panel hashes, and in its first and last panel
/// the bytes, with which it was committed. Local.
void verify_matrix_file(const std::filesystem::path& path, const CommittedFile& committed);

}  // namespace grokscope
