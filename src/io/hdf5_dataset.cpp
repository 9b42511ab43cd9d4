#include <algorithm>
#include <functional>
#include <numeric>

#include "io/hdf5.hpp"

namespace grokscope::hdf5 {
namespace {

hid_t memory_type(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return H5T_NATIVE_FLOAT;
    case DType::float64:
      return H5T_NATIVE_DOUBLE;
    case DType::int64:
      return H5T_NATIVE_INT64;
    case DType::uint64:
      return H5T_NATIVE_UINT64;
    case DType::uint8:
      return H5T_NATIVE_UINT8;
  }
  throw InternalError("unknown dtype");
}

hid_t file_type(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return H5T_IEEE_F32LE;
    case DType::float64:
      return H5T_IEEE_F64LE;
    case DType::int64:
      return H5T_STD_I64LE;
    case DType::uint64:
      return H5T_STD_U64LE;
    case DType::uint8:
      return H5T_STD_U8LE;
  }
  throw InternalError("unknown dtype");
}

Handle text_type(std::size_t length) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), std::max<std::size_t>(length, 1));
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

Handle simple_space(std::span<const std::int64_t> shape) {
  if (shape.empty()) return {H5Screate(H5S_SCALAR), H5Sclose};
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  return {H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose};
}

/// Compressed chunks of so many rows.
void set_packing(const Handle& properties, std::span<const std::int64_t> shape, std::int64_t rows, int gzip_level) {
  std::vector<hsize_t> chunk(shape.begin(), shape.end());
  chunk[0] = static_cast<hsize_t>(rows);
  H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
  H5Pset_shuffle(properties.get());
  H5Pset_deflate(properties.get(), static_cast<unsigned>(gzip_level));
}

/// Contiguous, or chunks of whole rows, about 1 MB each.
void set_layout(const Handle& properties, DType dtype, std::span<const std::int64_t> shape, int gzip_level) {
  const auto elements = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  if (gzip_level == 0 || shape.empty() || elements == 0) {
    H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
    return;
  }
  constexpr std::int64_t kChunkBytes = 1 << 20;
  const auto row_bytes = elements / shape[0] * static_cast<std::int64_t>(size_of(dtype));
  set_packing(properties, shape, std::clamp<std::int64_t>(kChunkBytes / row_bytes, 1, shape[0]), gzip_level);
}

Handle create_typed(const Handle& parent, const std::string& path, hid_t type, const Handle& space,
                    const Handle& properties) {
  const auto links = link_creation();
  H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER);
  H5Pset_obj_track_times(properties.get(), false);
  return {check(H5Dcreate2(parent.get(), path.c_str(), type, space.get(), links.get(), properties.get(),
                           H5P_DEFAULT),
                "create dataset", parent.get(), path),
          H5Dclose};
}

/// A selection of whole rows, and the matching dense space in memory.
struct RowSelection {
  Handle file_space;
  Handle memory_space;
};

RowSelection select_rows(const Handle& dataset, IndexRange rows) {
  const auto shape = shape_of(dataset);
  require(!shape.empty() && rows.begin >= 0 && rows.end <= shape[0], "rows lie outside the dataset");
  std::vector<hsize_t> start(shape.size(), 0);
  std::vector<hsize_t> count(shape.begin(), shape.end());
  start[0] = static_cast<hsize_t>(rows.begin);
  count[0] = static_cast<hsize_t>(rows.size());
  RowSelection selection{{H5Dget_space(dataset.get()), H5Sclose},
                         {H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose}};
  H5Sselect_hyperslab(selection.file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(),
                      nullptr);
  return selection;
}

}  // namespace

Handle create_dataset(const Handle& parent, const std::string& path, DType dtype,
                      std::span<const std::int64_t> shape, int gzip_level) {
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  set_layout(properties, dtype, shape, gzip_level);
  return create_typed(parent, path, file_type(dtype), simple_space(shape), properties);
}

Handle create_packed_dataset(const Handle& parent, const std::string& path, DType dtype,
                             std::span<const std::int64_t> shape, int gzip_level) {
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  set_packing(properties, shape, 1, gzip_level);
  return create_typed(parent, path, file_type(dtype), simple_space(shape), properties);
}

void copy_packed_rows(const Handle& from, const Handle& to, std::int64_t first) {
  const auto shape = shape_of(from);
  std::vector<hsize_t> place(shape.size(), 0);
  std::vector<std::byte> packed;
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    place[0] = static_cast<hsize_t>(row);
    hsize_t bytes = 0;
    check(H5Dget_chunk_storage_size(from.get(), place.data(), &bytes), "read", from.get());
    packed.resize(bytes);
    std::uint32_t skipped_filters = 0;
    check(H5Dread_chunk(from.get(), H5P_DEFAULT, place.data(), &skipped_filters, packed.data()), "read", from.get());
    place[0] = static_cast<hsize_t>(first + row);
    check(H5Dwrite_chunk(to.get(), H5P_DEFAULT, skipped_filters, place.data(), bytes, packed.data()), "write", to.get());
  }
}

Handle open_dataset(const Handle& parent, const std::string& path) {
  return {check(H5Dopen2(parent.get(), path.c_str(), H5P_DEFAULT), "open dataset", parent.get(), path),
          H5Dclose};
}

std::vector<std::int64_t> shape_of(const Handle& dataset) {
  const Handle space(check(H5Dget_space(dataset.get()), "read", dataset.get()), H5Sclose);
  const int rank = H5Sget_simple_extent_ndims(space.get());
  std::vector<hsize_t> extents(static_cast<std::size_t>(std::max(rank, 0)));
  if (rank > 0) H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
  return {extents.begin(), extents.end()};
}

DType dtype_of(const Handle& dataset) {
  const Handle type(check(H5Dget_type(dataset.get()), "read", dataset.get()), H5Tclose);
  for (const auto dtype : {DType::float32, DType::float64, DType::int64, DType::uint64, DType::uint8}) {
    if (H5Tequal(type.get(), file_type(dtype)) > 0) return dtype;
  }
  throw EnvironmentError(
      "a dataset has a number type that grokscope never writes (the file is not ours), "
      "use a file written by grokscope");
}

void write_rows(const Handle& dataset, IndexRange rows, DType dtype, const void* values) {
  if (rows.size() == 0) return;
  const auto selection = select_rows(dataset, rows);
  check(H5Dwrite(dataset.get(), memory_type(dtype), selection.memory_space.get(), selection.file_space.get(),
                 H5P_DEFAULT, values),
        "write", dataset.get());
}

void read_rows(const Handle& dataset, IndexRange rows, DType dtype, void* values) {
  if (rows.size() == 0) return;
  const auto selection = select_rows(dataset, rows);
  check(H5Dread(dataset.get(), memory_type(dtype), selection.memory_space.get(), selection.file_space.get(),
                H5P_DEFAULT, values),
        "read", dataset.get());
}

void write_array(const Handle& parent, const std::string& path, const NamedArray& array,
                 const Attributes& attributes, int gzip_level) {
  const auto dataset = create_dataset(parent, path, array.dtype, array.shape, gzip_level);
  if (!array.bytes.empty()) {
    check(
        H5Dwrite(dataset.get(), memory_type(array.dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, array.bytes.data()),
        "write", parent.get(), path);
  }
  write_description(dataset, array.description);
  write_attributes(dataset, attributes);
}

NamedArray read_array(const Handle& parent, const std::string& path) {
  const auto dataset = open_dataset(parent, path);
  NamedArray array{path, dtype_of(dataset), shape_of(dataset), {}};
  array.bytes.resize(static_cast<std::size_t>(array.element_count()) * size_of(array.dtype));
  if (!array.bytes.empty()) {
    check(H5Dread(dataset.get(), memory_type(array.dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, array.bytes.data()),
          "read", parent.get(), path);
  }
  return array;
}

void write_texts(const Handle& parent, const std::string& path, std::span<const std::string> texts,
                 const Description& description) {
  std::size_t width = 1;
  for (const auto& text : texts) width = std::max(width, text.size());
  std::string block(width * texts.size(), '\0');
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i].copy(block.data() + i * width, width);
  const auto count = static_cast<std::int64_t>(texts.size());
  const auto type = text_type(width);
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const auto dataset = create_typed(parent, path, type.get(), simple_space({&count, 1}), properties);
  write_description(dataset, description);
  if (block.empty()) return;
  check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, block.data()), "write",
        parent.get(), path);
}

std::vector<std::string> read_texts(const Handle& parent, const std::string& path) {
  const auto dataset = open_dataset(parent, path);
  const Handle type(check(H5Dget_type(dataset.get()), "read", parent.get(), path), H5Tclose);
  const auto shape = shape_of(dataset);
  const auto count = static_cast<std::size_t>(shape.empty() ? 1 : shape[0]);
  const auto width = H5Tget_size(type.get());
  std::string block(width * count, '\0');
  if (count > 0) {
    check(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, block.data()), "read",
          parent.get(), path);
  }
  std::vector<std::string> texts(count);
  for (std::size_t i = 0; i < count; ++i) texts[i] = block.substr(i * width, width).c_str();
  return texts;
}

void write_value(const Handle& parent, const std::string& path, const Attribute& value,
                 const Description& description) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    const auto type = text_type(text->size());
    const auto dataset = create_typed(parent, path, type.get(), simple_space({}), properties);
    write_description(dataset, description);
    const std::string bytes = text->empty() ? std::string(1, '\0') : *text;
    check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), "write",
          parent.get(), path);
  } else if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    const std::span<const double> values(*list);
    write_array(parent, path,
                NamedArray::from("", {static_cast<std::int64_t>(values.size())}, values).described(description));
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    write_array(parent, path, NamedArray::scalar("", *integer).described(description));
  } else {
    write_array(parent, path, NamedArray::scalar("", std::get<double>(value)).described(description));
  }
}

}  // namespace grokscope::hdf5
