#include "io/run_facts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/hdf5.hpp"

namespace grokscope {
namespace {

/// An object header of the earliest format holds 64 KB an attribute.
constexpr std::size_t kLongText = 30000;

bool is_long(const Attribute& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text != nullptr && text->size() > kLongText;
}

}  // namespace

void write_parameters(const hdf5::Handle& parent, const std::vector<ParameterRow>& parameters) {
  std::size_t rank = 1;
  for (const auto& row : parameters) rank = std::max(rank, row.shape.size());
  std::vector<std::string> names, layers;
  std::vector<std::int64_t> offsets, sizes;
  std::vector<std::int64_t> shapes(parameters.size() * rank, 0);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    names.push_back(parameters[i].name);
    layers.push_back(parameters[i].layer);
    offsets.push_back(parameters[i].offset);
    sizes.push_back(parameters[i].size);
    std::ranges::copy(parameters[i].shape, shapes.begin() + static_cast<std::ptrdiff_t>(i * rank));
  }
  const auto n = static_cast<std::int64_t>(parameters.size());
  const auto group = hdf5::require_group(parent, "parameters");
  hdf5::write_texts(group, "name", names, {"parameter", "1", "dotted name; rows in the order of the flat vector"});
  hdf5::write_texts(group, "layer", layers, {"layer", "1", "the layer whose GOP block holds the parameter"});
  const auto write = [&](const char* name, std::vector<std::int64_t> extents, std::span<const std::int64_t> values,
                         const Description& description) {
    hdf5::write_array(group, name, NamedArray::from(name, std::move(extents), values).described(description));
  };
  write("offset", {n}, offsets, {"offset", "element", "first index in the flat vector of length P"});
  write("size", {n}, sizes, {"size", "element", "number of elements"});
  write("shape", {n, static_cast<std::int64_t>(rank)}, shapes,
        {"shape", "element", "extents, filled with 0 past the parameter's rank"});
}

std::vector<ParameterRow> read_parameters(const hdf5::Handle& parent) {
  const auto group = hdf5::open_group(parent, "parameters");
  const auto names = hdf5::read_texts(group, "name");
  const auto layers = hdf5::read_texts(group, "layer");
  const auto offsets = hdf5::read_array(group, "offset");
  const auto sizes = hdf5::read_array(group, "size");
  const auto shapes = hdf5::read_array(group, "shape");
  std::vector<ParameterRow> parameters;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto rank = static_cast<std::size_t>(shapes.shape[1]);
    const auto extents = shapes.values<std::int64_t>().subspan(i * rank, rank);
    parameters.push_back({names[i],
                          layers[i],
                          {extents.begin(), std::ranges::find(extents, 0)},
                          offsets.values<std::int64_t>()[i],
                          sizes.values<std::int64_t>()[i]});
  }
  return parameters;
}

void write_summary(const hdf5::Handle& parent, const std::string& path, const Summary& summary) {
  const auto group = hdf5::require_group(parent, path);
  for (const auto& entry : summary) {
    // Not lists: an attribute of the earliest format holds 64 KB.
    if (!std::holds_alternative<std::vector<double>>(entry.value)) {
      hdf5::write_attributes(group, {{entry.name, entry.value}});
    }
    if (std::holds_alternative<std::string>(entry.value)) continue;
    hdf5::write_value(group, entry.name, entry.value, entry.description);
    if (!entry.over.empty()) hdf5::write_attributes(hdf5::open_dataset(group, entry.name), {{"over", entry.over}});
  }
}

Summary read_summary(const hdf5::Handle& parent, const std::string& path) {
  const auto group = hdf5::open_group(parent, path);
  Summary summary;
  for (auto& [name, value] : hdf5::read_attributes(group)) {
    const bool is_dataset = hdf5::exists(group, name);
    summary.push_back({name, std::move(value),
                       is_dataset ? hdf5::read_description(hdf5::open_dataset(group, name)) : Description{}});
  }
  for (const auto& name : hdf5::list_children(group)) {
    if (hdf5::has_attribute(group, name)) continue;
    const auto array = hdf5::read_array(group, name);
    const auto values = array.values<double>();
    const auto dataset = hdf5::open_dataset(group, name);
    const auto attributes = hdf5::read_attributes(dataset);
    const bool runs_along = find_attribute(attributes, "over") != nullptr;
    summary.push_back({name, std::vector<double>(values.begin(), values.end()), hdf5::read_description(dataset),
                       runs_along ? attribute_value<std::string>(attributes, "over") : ""});
  }
  std::ranges::sort(summary, {}, &SummaryEntry::name);
  return summary;
}

void write_launches(const hdf5::Handle& file, const std::vector<Attributes>& launches) {
  for (std::size_t k = 0; k < launches.size(); ++k) {
    const auto group = hdf5::require_group(file, fmt::format("provenance/launch_{}", k));
    for (const auto& [name, value] : launches[k]) {
      if (is_long(value)) {
        hdf5::write_value(group, name, value, {name, "1", "of this launch; a text too long for an attribute"});
      } else {
        hdf5::write_attributes(group, {{name, value}});
      }
    }
  }
}

std::vector<Attributes> read_launches(const hdf5::Handle& file) {
  std::vector<Attributes> launches;
  while (true) {
    const auto path = fmt::format("provenance/launch_{}", launches.size());
    if (!hdf5::exists(file, path)) return launches;
    const auto group = hdf5::open_group(file, path);
    launches.push_back(hdf5::read_attributes(group));
    for (const auto& name : hdf5::list_children(group)) {
      launches.back().emplace_back(name, hdf5::read_texts(group, name).front());
    }
  }
}

}  // namespace grokscope
