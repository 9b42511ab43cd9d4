#include "io/table.hpp"

#include <algorithm>
#include <numeric>

#include "io/dimension_scale.hpp"

namespace grokscope {
namespace {

std::string axis_path(const std::string& table, const char* axis) {
  return table.empty() ? axis : table + "/" + axis;
}

/// The attribute by which a dataset is known as a column.
constexpr const char* kTable = "table";

/// A column over all sources.
struct MergedColumn {
  std::string table;
  DType dtype = DType::float64;
  std::vector<std::int64_t> row_shape;  ///< empty for a scalar column, {k} for a vector column
  Attributes attributes;
  std::vector<bool> present;  ///< by source
  hdf5::Handle destination;

  std::int64_t width() const { return row_shape.empty() ? 1 : row_shape[0]; }
};

/// What the sources hold together.
struct MergedTables {
  std::map<std::string, MergedColumn> columns;
  std::map<std::string, std::vector<std::int64_t>> rows;  ///< of a table, by source
};

/// Adds what one dataset says about its column. Attributes cost more than all else and are read once a
/// column.
void merge_column(const hdf5::Handle& dataset, const std::string& path, std::size_t source,
                  std::size_t source_count, MergedTables& merged) {
  const auto shape = hdf5::shape_of(dataset);
  auto& column = merged.columns[path];
  if (column.present.empty()) {
    auto attributes = hdf5::read_attributes(dataset);
    std::erase_if(attributes,
                  [](const auto& entry) { return entry.first == "CLASS" || entry.first == "NAME"; });
    const auto table = attribute_value<std::string>(attributes, kTable).substr(1);
    column = {table,
              hdf5::dtype_of(dataset),
              {shape.begin() + 1, shape.end()},
              std::move(attributes),
              std::vector<bool>(source_count, false),
              {}};
  }
  require(column.row_shape.size() == shape.size() - 1, "a quantity changed its shape between commits");
  if (shape.size() == 2) column.row_shape[0] = std::max(column.row_shape[0], shape[1]);
  column.present[source] = true;
  if (path != axis_path(column.table, "epoch")) return;
  auto& rows = merged.rows[column.table];
  rows.resize(source_count, 0);
  rows[source] = shape[0];
}

MergedTables scan(std::span<const TableSource> sources) {
  MergedTables merged;
  for (std::size_t s = 0; s < sources.size(); ++s) {
    const auto file = hdf5::open_file(sources[s].file);
    if (!hdf5::exists(file, sources[s].group) && sources[s].group != "/") continue;
    const auto group = hdf5::open_group(file, sources[s].group);
    for (const auto& path : hdf5::list_datasets(group)) {
      const auto dataset = hdf5::open_dataset(group, path);
      if (hdf5::has_attribute(dataset, kTable)) merge_column(dataset, path, s, sources.size(), merged);
    }
  }
  return merged;
}

/// Widens the rows of `piece` ([rows] or [rows, k]) to `width` with NaN.
std::vector<double> widen(const NamedArray& piece, std::int64_t rows, std::int64_t width) {
  const auto values = piece.values<double>();
  const auto k = rows == 0 ? 0 : static_cast<std::int64_t>(values.size()) / rows;
  std::vector<double> wide(static_cast<std::size_t>(rows * width), kMissing);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::copy_n(values.begin() + row * k, k, wide.begin() + row * width);
  }
  return wide;
}

void copy_piece(const hdf5::Handle& source, const std::string& path, const MergedColumn& column, bool present,
                IndexRange rows) {
  if (rows.size() == 0 || column.width() == 0) return;
  if (column.dtype != DType::float64) {
    hdf5::write_rows(column.destination, rows, column.dtype, hdf5::read_array(source, path).bytes.data());
    return;
  }
  const auto piece = present ? hdf5::read_array(source, path) : NamedArray{path, DType::float64, {}, {}};
  hdf5::write_rows(column.destination, rows, DType::float64,
                   widen(piece, rows.size(), column.width()).data());
}

void copy_pieces(std::span<const TableSource> sources, const MergedTables& merged) {
  std::map<std::string, std::int64_t> next_row;
  for (std::size_t s = 0; s < sources.size(); ++s) {
    const auto file = hdf5::open_file(sources[s].file);
    if (!hdf5::exists(file, sources[s].group) && sources[s].group != "/") continue;
    const auto group = hdf5::open_group(file, sources[s].group);
    for (const auto& [path, column] : merged.columns) {
      const auto begin = next_row[column.table];
      const IndexRange rows{begin, begin + merged.rows.at(column.table)[s]};
      copy_piece(group, path, column, column.present[s], rows);
    }
    for (const auto& [table, rows] : merged.rows) next_row[table] += rows[s];
  }
}

void create_columns(MergedTables& merged, const hdf5::Handle& destination) {
  for (auto& [path, column] : merged.columns) {
    const auto& rows = merged.rows.at(column.table);
    std::vector<std::int64_t> shape{std::accumulate(rows.begin(), rows.end(), std::int64_t{0})};
    shape.insert(shape.end(), column.row_shape.begin(), column.row_shape.end());
    column.destination = hdf5::create_dataset(destination, path, column.dtype, shape);
    hdf5::write_attributes(column.destination, column.attributes);
  }
}

void attach_axes(const MergedTables& merged, const hdf5::Handle& destination) {
  for (const auto& [table, rows] : merged.rows) {
    const std::vector<std::string> axes{axis_path(table, "epoch"), axis_path(table, "step")};
    std::vector<std::string> columns;
    for (const auto& [path, column] : merged.columns) {
      if (column.table == table && std::ranges::find(axes, path) == axes.end()) columns.push_back(path);
    }
    hdf5::attach_scales(destination, axes, columns);
  }
}

Attributes describe(const Quantity& quantity, const std::string& table) {
  return {{"long_name", quantity.long_name},
          {"units", quantity.units},
          {"definition", quantity.definition},
          {kTable, "/" + table}};
}

}  // namespace

std::string column_path(const std::string& table, const std::string& quantity_path) {
  if (table.empty() || quantity_path.starts_with(table + "/")) return quantity_path;
  return table + "/" + quantity_path;
}

void TableBuffer::append(const Record& record) {
  auto& table = tables_[record.table];
  const auto already_measured = [&](const Measurement& measurement) {
    const auto column = table.columns.find(column_path(record.table, measurement.quantity.path));
    return column != table.columns.end() && column->second.values.contains(table.epochs.size() - 1);
  };
  const bool joins = !table.epochs.empty() && table.epochs.back() == record.epoch &&
                     table.steps.back() == record.step &&
                     std::ranges::none_of(record.measurements, already_measured);
  if (!joins) {
    table.epochs.push_back(record.epoch);
    table.steps.push_back(record.step);
  }
  for (const auto& measurement : record.measurements) {
    auto& column = table.columns[column_path(record.table, measurement.quantity.path)];
    require(column.values.empty() || column.is_vector == measurement.is_vector,
            "a quantity was measured both as a number and as a vector");
    column.quantity = measurement.quantity;
    column.is_vector = measurement.is_vector;
    column.values[table.epochs.size() - 1] = measurement.values;
  }
}

std::int64_t TableBuffer::first_epoch() const {
  std::int64_t first = INT64_MAX;
  for (const auto& [name, table] : tables_) {
    for (const auto epoch : table.epochs) first = std::min(first, epoch);
  }
  return first;
}

NamedArray TableBuffer::to_array(const std::string& path, const Column& column, std::size_t row_count) {
  std::size_t width = column.is_vector ? 0 : 1;
  for (const auto& [row, values] : column.values) width = std::max(width, values.size());
  std::vector<double> block(row_count * width, kMissing);
  for (const auto& [row, values] : column.values) {
    std::ranges::copy(values, block.begin() + static_cast<std::ptrdiff_t>(row * width));
  }
  std::vector<std::int64_t> shape{static_cast<std::int64_t>(row_count)};
  if (column.is_vector) shape.push_back(static_cast<std::int64_t>(width));
  return NamedArray::from<double>(path, std::move(shape), block);
}

std::vector<NamedArray> TableBuffer::write(const hdf5::Handle& group) const {
  std::vector<NamedArray> written;
  for (const auto& [name, table] : tables_) {
    const std::vector<std::int64_t> shape{static_cast<std::int64_t>(table.epochs.size())};
    const auto axis = [&](const char* axis_name, std::span<const std::int64_t> values,
                          const Description& description) {
      written.push_back(NamedArray::from(axis_path(name, axis_name), shape, values).described(description));
      hdf5::write_array(group, written.back().name, written.back(), {{kTable, "/" + name}});
    };
    axis("epoch", table.epochs,
         {"passes over the training set", "1", "passes begun before this row was measured"});
    axis("step", table.steps, {"optimizer steps", "1", "steps taken before this row was measured"});
    for (const auto& [path, column] : table.columns) {
      written.push_back(to_array(path, column, table.epochs.size()));
      hdf5::write_array(group, path, written.back(), describe(column.quantity, name));
    }
  }
  return written;
}

void concatenate_tables(std::span<const TableSource> sources, const hdf5::Handle& destination) {
  auto merged = scan(sources);
  create_columns(merged, destination);
  copy_pieces(sources, merged);
  attach_axes(merged, destination);
}

}  // namespace grokscope
