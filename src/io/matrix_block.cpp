#include "io/matrix_block.hpp"

#include "io/hdf5.hpp"

namespace grokscope {

void read_matrix_block(const std::filesystem::path& path, const std::string& name, IndexRange rows, IndexRange cols,
                       std::span<double> out) {
  require(static_cast<std::int64_t>(out.size()) == rows.size() * cols.size(), "a block of another size than its buffer");
  if (out.empty()) return;
  const auto file = hdf5::open_file(path);
  const auto dataset = hdf5::open_dataset(file, name);
  const hsize_t start[] = {static_cast<hsize_t>(rows.begin), static_cast<hsize_t>(cols.begin)};
  const hsize_t count[] = {static_cast<hsize_t>(rows.size()), static_cast<hsize_t>(cols.size())};
  const hdf5::Handle in_file(H5Dget_space(dataset.get()), H5Sclose), in_memory(H5Screate_simple(2, count, nullptr), H5Sclose);
  hdf5::check(H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, start, nullptr, count, nullptr), "select in", dataset.get(), name);
  hdf5::check(H5Dread(dataset.get(), H5T_NATIVE_DOUBLE, in_memory.get(), in_file.get(), H5P_DEFAULT, out.data()), "read",
              dataset.get(), name);
}

}  // namespace grokscope
