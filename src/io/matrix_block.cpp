#include "io/matrix_block.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "io/hdf5.hpp"

namespace grokscope {
namespace {

/// Reads a part of a dataset: one range for each of its dimensions.
void read_box(const hdf5::Handle& dataset, std::span<const IndexRange> box, double* out) {
  std::vector<hsize_t> start, count;
  for (const auto& range : box) {
    start.push_back(static_cast<hsize_t>(range.begin));
    count.push_back(static_cast<hsize_t>(range.size()));
  }
  const hdf5::Handle in_file(H5Dget_space(dataset.get()), H5Sclose);
  const hdf5::Handle in_memory(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose);
  hdf5::check(H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), "select in",
              dataset.get());
  hdf5::check(H5Dread(dataset.get(), H5T_NATIVE_DOUBLE, in_memory.get(), in_file.get(), H5P_DEFAULT, out), "read",
              dataset.get());
}

/// What of `range` lies in the tile, counted in the matrix.
IndexRange within(IndexRange range, std::int64_t tile, std::int64_t width) {
  return {std::max(range.begin, tile * width), std::min(range.end, (tile + 1) * width)};
}

IndexRange shifted(IndexRange range, std::int64_t by) { return {range.begin + by, range.end + by}; }

void read_from_tiles(const hdf5::Handle& dataset, IndexRange rows, IndexRange cols, std::span<double> out) {
  const auto width = attribute_value<std::int64_t>(hdf5::read_attributes(dataset), "tile");
  std::vector<double> part(static_cast<std::size_t>(width * width));
  for (auto i = rows.begin / width; i * width < rows.end; ++i) {
    for (auto j = cols.begin / width; j * width < cols.end; ++j) {
      const auto r = within(rows, i, width), c = within(cols, j, width);
      const bool is_mirrored = j > i;  // only (j, i) is stored
      const auto high = std::max(i, j), low = std::min(i, j), tile = high * (high + 1) / 2 + low;
      auto first = shifted(r, -i * width), second = shifted(c, -j * width);
      if (is_mirrored) std::swap(first, second);
      const IndexRange box[] = {{tile, tile + 1}, first, second};
      read_box(dataset, box, part.data());
      for (std::int64_t a = 0; a < r.size(); ++a) {
        for (std::int64_t b = 0; b < c.size(); ++b) {
          const auto from = is_mirrored ? b * r.size() + a : a * c.size() + b;
          const auto to = (r.begin - rows.begin + a) * cols.size() + c.begin - cols.begin + b;
          out[static_cast<std::size_t>(to)] = part[static_cast<std::size_t>(from)];
        }
      }
    }
  }
}

}  // namespace

void read_matrix_block(const std::filesystem::path& path, const std::string& name, IndexRange rows, IndexRange cols,
                       std::span<double> out) {
  require(static_cast<std::int64_t>(out.size()) == rows.size() * cols.size(), "a block of another size than its buffer");
  if (out.empty()) return;
  const auto file = hdf5::open_file(path);
  const auto dataset = hdf5::open_dataset(file, name);
  if (hdf5::shape_of(dataset).size() == 3) return read_from_tiles(dataset, rows, cols, out);
  const IndexRange box[] = {rows, cols};
  read_box(dataset, box, out.data());
}

}  // namespace grokscope
