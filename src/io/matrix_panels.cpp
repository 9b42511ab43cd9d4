#include "io/matrix_panels.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.hpp"

namespace grokscope {
namespace {

void require_tiling(const Communicator& comm, const MatrixSpec& spec, IndexRange my_rows) {
  require(spec.dtype == DType::float32 || spec.dtype == DType::float64, "a matrix is float32 or float64");
  require(spec.tile == 0 || spec.tile * spec.tile == spec.cols, "a tile is square");
  const std::int64_t mine[] = {my_rows.begin, my_rows.end};
  const auto all = comm.all_gather<std::int64_t>(mine);
  std::int64_t next = 0;
  for (std::size_t r = 0; r < all.size(); r += 2) {
    require(all[r] == next && all[r + 1] >= next, "the ranks' rows do not follow each other in rank order");
    next = all[r + 1];
  }
  require(next == spec.rows, "the ranks' rows do not add up to the matrix");
}

}  // namespace

Panels::Panels(const Communicator& comm, const MatrixSpec& spec, IndexRange my_rows, std::int64_t panel_bytes,
               const FillRows& fill)
    : comm_(comm), spec_(spec), my_rows_(my_rows), fill_(fill) {
  require_tiling(comm, spec, my_rows);
  const auto row_bytes = std::max<std::int64_t>(spec.cols * static_cast<std::int64_t>(sizeof(double)), 1);
  height_ = std::max<std::int64_t>(panel_bytes / row_bytes, 1);
  rounds_ = static_cast<std::int64_t>(comm.max(static_cast<double>((my_rows.size() + height_ - 1) / height_)));
}

IndexRange Panels::rows_of(std::int64_t round) const {
  const auto begin = std::min(my_rows_.begin + round * height_, my_rows_.end);
  return {begin, std::min(begin + height_, my_rows_.end)};
}

Panel Panels::fill(std::int64_t round) {
  const auto rows = rows_of(round);
  values_.resize(static_cast<std::size_t>(rows.size() * spec_.cols));
  fill_(rows, values_);
  return {rows, values_};
}

std::span<const std::byte> Panels::stored(const Panel& panel, IndexRange rows) {
  const auto values = panel.values.subspan(static_cast<std::size_t>((rows.begin - panel.rows.begin) * spec_.cols),
                                           static_cast<std::size_t>(rows.size() * spec_.cols));
  if (spec_.dtype == DType::float64) return std::as_bytes(values);
  rounded_.resize(values.size());
  std::ranges::transform(values, rounded_.begin(), [](double value) { return static_cast<float>(value); });
  return std::as_bytes(std::span(rounded_));
}

std::int64_t Panels::count() const {
  double count = static_cast<double>((my_rows_.size() + height_ - 1) / height_);
  comm_.sum_in_rank_order({&count, 1});
  return static_cast<std::int64_t>(count);
}

PanelJournal Panels::journal_of(const std::filesystem::path& path) const {
  const auto key = fmt::format("2 {:016x} {} x {} {} gzip {} rank {} of {} height {}", spec_.identity, spec_.rows, spec_.cols,
                               name_of(spec_.dtype), spec_.gzip_level, comm_.rank(), comm_.size(), height_);
  return {journal_of_rank(path, comm_.rank()), key};
}

PanelHash hash_panel(IndexRange rows, std::span<const std::byte> stored) {
  return {static_cast<std::uint64_t>(rows.begin), static_cast<std::uint64_t>(rows.end), hash_bytes(stored.data(), stored.size())};
}

std::vector<PanelHash> gather_hashes(const Communicator& comm, std::span<const std::uint64_t> mine) {
  const auto all = comm.all_gather_uneven<std::uint64_t>(mine);
  std::vector<PanelHash> hashes;
  for (std::size_t i = 0; i < all.size(); i += 3) hashes.push_back({all[i], all[i + 1], all[i + 2]});
  std::ranges::sort(hashes);
  return hashes;
}

NamedArray list_panels(std::span<const PanelHash> hashes) {
  std::vector<std::uint64_t> rows;
  for (const auto& hash : hashes) rows.insert(rows.end(), hash.begin(), hash.end());
  return NamedArray::from<std::uint64_t>(kPanelList, {static_cast<std::int64_t>(hashes.size()), 3}, rows);
}

void create_panel_list(const hdf5::Handle& file, std::int64_t panels) {
  const std::int64_t shape[] = {panels, 3};
  hdf5::write_description(hdf5::create_dataset(file, kPanelList, DType::uint64, shape),
                          {"panels of the matrix", "1", "first row, row after the last, XXH3 of the rows' bytes"});
}

void describe_matrix(const hdf5::Handle& dataset, const MatrixSpec& spec) {
  hdf5::write_description(dataset, spec.description);
  hdf5::write_attributes(dataset, spec.attributes);
}

}  // namespace grokscope
