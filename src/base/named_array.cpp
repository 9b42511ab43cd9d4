#include "base/named_array.hpp"

#include <fmt/format.h>

namespace grokscope {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::float32: return 4;
    case DType::uint8: return 1;
    default: return 8;
  }
}

std::string name_of(DType dtype) {
  switch (dtype) {
    case DType::float32: return "float32";
    case DType::float64: return "float64";
    case DType::int64: return "int64";
    case DType::uint64: return "uint64";
    case DType::uint8: return "uint8";
  }
  throw InternalError("unknown dtype");
}

std::int64_t NamedArray::element_count() const {
  std::int64_t count = 1;
  for (const auto extent : shape) count *= extent;
  return count;
}

const NamedArray* find_array_if_present(std::span<const NamedArray> arrays, const std::string& name) {
  for (const auto& array : arrays) {
    if (array.name == name) return &array;
  }
  return nullptr;
}

const NamedArray& find_array(std::span<const NamedArray> arrays, const std::string& name) {
  if (const auto* array = find_array_if_present(arrays, name)) return *array;
  throw EnvironmentError(fmt::format("the checkpoint has no '{}' (it was written by another version or is damaged), "
                                     "resume from an older checkpoint or start again with --fresh", name));
}

}  // namespace grokscope
