// What does state look like when it crosses from one room to another?
// train, nn and probes give and take these; io stores their bytes. Knows no tensor library and no file format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/description.hpp"
#include "base/error.hpp"

namespace grokscope {

enum class DType : std::uint8_t { float32, float64, int64, uint64, uint8 };

std::size_t size_of(DType dtype);
std::string name_of(DType dtype);

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() { return DType::float32; }
template <>
constexpr DType dtype_of<double>() { return DType::float64; }
template <>
constexpr DType dtype_of<std::int64_t>() { return DType::int64; }
template <>
constexpr DType dtype_of<std::uint64_t>() { return DType::uint64; }
template <>
constexpr DType dtype_of<std::uint8_t>() { return DType::uint8; }

/// A dense row-major array in host memory with a slash-separated name ("parameters/mlp.W_in").
struct NamedArray {
  std::string name;
  DType dtype = DType::float64;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
  Description description{};  ///< what a file says about it; empty for what is never stored

  /// Copies `values`; their number must equal the product of `shape`.
  template <class T>
  static NamedArray from(std::string name, std::vector<std::int64_t> shape, std::span<const T> values) {
    NamedArray array{std::move(name), dtype_of<T>(), std::move(shape), {}};
    require(array.element_count() == static_cast<std::int64_t>(values.size()), "array shape does not match its size");
    array.bytes.resize(values.size_bytes());
    if (!values.empty()) std::memcpy(array.bytes.data(), values.data(), values.size_bytes());
    return array;
  }

  template <class T>
  static NamedArray scalar(std::string name, T value) {
    return from<T>(std::move(name), {}, std::span<const T>(&value, 1));
  }

  /// Views the elements; `T` must be the array's type.
  template <class T>
  std::span<const T> values() const {
    require(dtype == dtype_of<T>(), "array read with another type than it holds");
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  std::int64_t element_count() const;

  /// The same array, with its meaning.
  NamedArray described(Description meaning) && {
    description = std::move(meaning);
    return std::move(*this);
  }
};

/// Finds an array by name; throws EnvironmentError naming the missing one.
const NamedArray& find_array(std::span<const NamedArray> arrays, const std::string& name);

/// Returns the array of that name, or nullptr.
const NamedArray* find_array_if_present(std::span<const NamedArray> arrays, const std::string& name);

}  // namespace grokscope
