#include "io/column_file.hpp"

#include "io/durable_file.hpp"
#include "io/hdf5.hpp"

namespace grokscope {
namespace {

template <class T>
void write_values(const hdf5::Handle& file, const std::string& path, const std::vector<T>& values) {
  if constexpr (std::is_same_v<T, std::string>) {
    hdf5::write_texts(file, path, values);
  } else {
    hdf5::write_array(file, path,
                      NamedArray::from<T>("", {static_cast<std::int64_t>(values.size())}, values));
  }
}

void write_plot(const hdf5::Handle& file, const ColumnPlot& plot) {
  if (plot.signals.empty()) return;
  hdf5::write_attributes(file, {{"NX_class", "NXroot"}, {"default", plot.group}});
  const auto group = hdf5::open_group(file, plot.group);
  hdf5::write_attributes(group, {{"NX_class", "NXdata"}, {"signal", plot.signals.front()}});
  hdf5::write_text_list(group, "auxiliary_signals", std::span(plot.signals).subspan(1));
}

}  // namespace

void publish_columns(const std::filesystem::path& path, std::span<const FileColumn> columns, const Attributes& root,
                     const ColumnPlot& plot) {
  const auto temporary = temporary_of(path);
  auto file = hdf5::create_file(temporary);
  hdf5::write_attributes(file, root);
  hdf5::write_attributes(file, {{"format", "grokscope 1"}});
  for (const auto& column : columns) {
    const auto& q = column.quantity;
    std::visit([&](const auto& values) { write_values(file, q.path, values); }, column.values);
    hdf5::write_attributes(hdf5::open_dataset(file, q.path),
                           {{"long_name", q.long_name}, {"units", q.units}, {"definition", q.definition}});
  }
  write_plot(file, plot);
  file.close();
  publish_file(temporary, path);
}

std::vector<double> read_numbers(const std::filesystem::path& path, const std::string& dataset) {
  const auto array = hdf5::read_array(hdf5::open_file(path), dataset);
  if (array.dtype == DType::int64) {
    const auto values = array.values<std::int64_t>();
    return {values.begin(), values.end()};
  }
  const auto values = array.values<double>();
  return {values.begin(), values.end()};
}

}  // namespace grokscope
