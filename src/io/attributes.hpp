// What small facts travel with the numbers?
// Named scalars, texts and short vectors: attributes of groups and datasets, the cursor of a checkpoint,
// summaries. Knows nothing of HDF5.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/description.hpp"
#include "base/error.hpp"

namespace grokscope {

using Attribute = std::variant<std::int64_t, double, std::string, std::vector<double>>;

/// In the order of writing; what is read back from a file is sorted by name.
using Attributes = std::vector<std::pair<std::string, Attribute>>;

/// The attributes long_name, units and definition that every published dataset has.
inline Attributes attributes_of(const Description& description) {
  return {{"long_name", description.long_name}, {"units", description.units}, {"definition", description.definition}};
}

/// Returns the attribute of that name, or nullptr.
inline const Attribute* find_attribute(const Attributes& attributes, const std::string& name) {
  for (const auto& [key, value] : attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

/// Returns the value of type `T`; throws EnvironmentError when the file does not hold it.
template <class T>
const T& attribute_value(const Attributes& attributes, const std::string& name) {
  const auto* attribute = find_attribute(attributes, name);
  if (attribute == nullptr || !std::holds_alternative<T>(*attribute)) {
    throw EnvironmentError("the file has no usable attribute '" + name +
                           "' (it was written by another version or is damaged), use another file");
  }
  return std::get<T>(*attribute);
}

}  // namespace grokscope
