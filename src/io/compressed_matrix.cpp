#include "io/compressed_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/durable_file.hpp"
#include "io/matrix_panels.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

fs::path part_of(const fs::path& matrix, std::int64_t first_row) { return fmt::format("{}.part.{}", matrix.string(), first_row); }

std::vector<std::int64_t> shape_of_rows(const MatrixSpec& spec, IndexRange rows) {
  auto shape = spec.shape();
  shape[0] = rows.size();
  return shape;
}

void write_part(const fs::path& path, const MatrixSpec& spec, IndexRange rows, std::span<const std::byte> stored) {
  const auto temporary = temporary_of(path);
  auto file = hdf5::create_file(temporary);
  auto dataset = hdf5::create_packed_dataset(file, "panel", spec.dtype, shape_of_rows(spec, rows), spec.gzip_level);
  hdf5::write_rows(dataset, {0, rows.size()}, spec.dtype, stored.data());
  dataset.close();
  file.close();
  publish_file(temporary, path);
}

/// Puts the file together from its parts, which vanish.
void assemble(const fs::path& path, const std::string& name, const MatrixSpec& spec, std::span<const PanelHash> panels) {
  const auto temporary = temporary_of(path);
  auto file = hdf5::create_file(temporary);
  auto dataset = hdf5::create_packed_dataset(file, name, spec.dtype, spec.shape(), spec.gzip_level);
  describe_matrix(dataset, spec);
  for (const auto& panel : panels) {
    const auto first = static_cast<std::int64_t>(panel[0]);
    const auto part = hdf5::open_file(part_of(path, first));
    hdf5::copy_packed_rows(hdf5::open_dataset(part, "panel"), dataset, first);
  }
  dataset.close();
  create_panel_list(file, static_cast<std::int64_t>(panels.size()));
  const auto list = list_panels(panels);
  hdf5::write_rows(hdf5::open_dataset(file, kPanelList), {0, list.shape[0]}, list.dtype, list.bytes.data());
  file.close();
  publish_file(temporary, path);
  for (const auto& panel : panels) remove_path(part_of(path, static_cast<std::int64_t>(panel[0])));
}

}  // namespace

std::vector<PanelHash> write_compressed(const Communicator& comm, const fs::path& path, const std::string& name,
                                        const MatrixSpec& spec, IndexRange my_rows, std::int64_t panel_bytes,
                                        const FillRows& fill, const PanelProgress& progress,
                                        const PanelStart& start) {
  Panels panels(comm, spec, my_rows, panel_bytes, fill);
  auto journal = panels.journal_of(path);
  if (!comm.all(spec.identity != 0 && journal.is_known())) {
    comm.on_root([&] { remove_path(path); });
    comm.agree([&] { if (spec.identity != 0) journal.restart(); });
  }
  const bool is_assembled = comm.broadcast_value(std::int64_t{fs::exists(path)}) != 0;
  std::vector<std::uint64_t> mine;
  for (std::int64_t round = 0; round < panels.rounds(); ++round) {
    const auto rows = panels.rows_of(round);
    const auto* known = journal.find(rows);
    const bool is_stored = known != nullptr && (is_assembled || fs::exists(part_of(path, rows.begin)));
    if (comm.all(is_stored || rows.size() == 0)) {
      if (is_stored) mine.insert(mine.end(), known->begin(), known->end());
      continue;
    }
    if (progress) progress(round, panels.rounds());
    if (start) start();
    comm.agree([&] {
      const auto panel = panels.fill(round);
      if (rows.size() == 0) return;
      const auto stored = panels.stored(panel, rows);
      write_part(part_of(path, rows.begin), spec, rows, stored);
      const auto hash = hash_panel(rows, stored);
      if (spec.identity != 0) journal.add(hash);
      mine.insert(mine.end(), hash.begin(), hash.end());
    });
  }
  if (progress) progress(panels.rounds(), panels.rounds());
  const auto hashes = gather_hashes(comm, mine);
  comm.on_root([&] { if (!is_assembled) assemble(path, name, spec, hashes); });
  return hashes;
}

}  // namespace grokscope
