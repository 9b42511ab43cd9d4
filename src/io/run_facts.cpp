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
  hdf5::write_texts(group, "name", names);
  hdf5::write_texts(group, "layer", layers);
  hdf5::write_array(group, "offset", NamedArray::from<std::int64_t>("", {n}, offsets));
  hdf5::write_array(group, "size", NamedArray::from<std::int64_t>("", {n}, sizes));
  hdf5::write_array(group, "shape",
                    NamedArray::from<std::int64_t>("", {n, static_cast<std::int64_t>(rank)}, shapes));
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

void write_launches(const hdf5::Handle& file, const std::vector<Attributes>& launches) {
  for (std::size_t k = 0; k < launches.size(); ++k) {
    const auto group = hdf5::require_group(file, fmt::format("provenance/launch_{}", k));
    for (const auto& [name, value] : launches[k]) {
      if (is_long(value)) {
        hdf5::write_value(group, name, value);
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
