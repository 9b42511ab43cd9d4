#include <algorithm>
#include <optional>

#include "base/hash.hpp"
#include "io/hdf5.hpp"

namespace grokscope::hdf5 {
namespace {

void write_one(const Handle& object, const std::string& name, hid_t type, const Handle& space,
               const void* value) {
  if (H5Aexists(object.get(), name.c_str()) > 0) {
    check(H5Adelete(object.get(), name.c_str()), "replace attribute", object.get(), name);
  }
  const Handle attribute(
      check(H5Acreate2(object.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
            "create attribute", object.get(), name),
      H5Aclose);
  check(H5Awrite(attribute.get(), type, value), "write attribute", object.get(), name);
}

Handle text_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), std::max<std::size_t>(size, 1));
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

void write_text(const Handle& object, const std::string& name, const std::string& text) {
  write_one(object, name, text_type(text.size()).get(), Handle(H5Screate(H5S_SCALAR), H5Sclose), text.c_str());
}

std::optional<Attribute> read_one(const Handle& attribute) {
  const Handle type(H5Aget_type(attribute.get()), H5Tclose);
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  const bool scalar = H5Sget_simple_extent_type(space.get()) == H5S_SCALAR;
  const auto kind = H5Tget_class(type.get());
  if (kind == H5T_STRING && scalar && H5Tis_variable_str(type.get()) == 0) {
    std::string text(H5Tget_size(type.get()), '\0');
    check(H5Aread(attribute.get(), type.get(), text.data()), "read an attribute", attribute.get());
    return std::string(text.c_str());
  }
  if (kind == H5T_INTEGER && scalar) {
    std::int64_t value = 0;
    check(H5Aread(attribute.get(), H5T_NATIVE_INT64, &value), "read an attribute", attribute.get());
    return value;
  }
  if (kind != H5T_FLOAT) return std::nullopt;
  std::vector<double> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.get())));
  if (!values.empty()) {
    check(H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, values.data()), "read an attribute", attribute.get());
  }
  if (scalar) return values.front();
  return values;
}

herr_t collect_name(hid_t, const char* name, const H5A_info_t*, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

std::vector<std::string> list_attributes(const Handle& object) {
  std::vector<std::string> names;
  hsize_t position = 0;
  check(H5Aiterate2(object.get(), H5_INDEX_NAME, H5_ITER_INC, &position, collect_name, &names),
        "list attributes", object.get());
  return names;
}

std::uint64_t hash_attributes(const Handle& object, std::uint64_t hash, const std::string& except) {
  for (const auto& name : list_attributes(object)) {
    if (name == except) continue;
    const Handle attribute(H5Aopen(object.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
    const Handle type(H5Aget_type(attribute.get()), H5Tclose);
    const Handle space(H5Aget_space(attribute.get()), H5Sclose);
    const auto count = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.get()));
    std::vector<std::byte> bytes(count * H5Tget_size(type.get()));
    if (!bytes.empty()) check(H5Aread(attribute.get(), type.get(), bytes.data()), "read", object.get(), name);
    hash = hash_bytes(name.data(), name.size(), hash);
    hash = hash_bytes(bytes.data(), bytes.size(), hash);
  }
  return hash;
}

std::uint64_t hash_dataset(const Handle& parent, const std::string& name, std::uint64_t hash) {
  const auto dataset = open_dataset(parent, name);
  const Handle type(check(H5Dget_type(dataset.get()), "read", parent.get(), name), H5Tclose);
  const auto shape = shape_of(dataset);
  std::size_t bytes = H5Tget_size(type.get());
  for (const auto extent : shape) bytes *= static_cast<std::size_t>(extent);
  std::vector<std::byte> values(bytes);
  if (bytes > 0) {
    check(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "read",
          parent.get(), name);
  }
  hash = hash_bytes(shape.data(), shape.size() * sizeof(std::int64_t), hash);
  hash = hash_bytes(values.data(), values.size(), hash);
  return hash_attributes(dataset, hash, "");
}

std::uint64_t hash_group(const Handle& group, std::uint64_t hash, const std::string& except) {
  hash = hash_attributes(group, hash, except);
  for (const auto& name : list_children(group)) {
    hash = hash_bytes(name.data(), name.size(), hash);
    if (is_group(group, name)) {
      hash = hash_group(open_group(group, name), hash, "");
      continue;
    }
    H5L_info_t link;
    check(H5Lget_info(group.get(), name.c_str(), &link, H5P_DEFAULT), "read", group.get(), name);
    if (link.type == H5L_TYPE_HARD) hash = hash_dataset(group, name, hash);
  }
  return hash;
}

}  // namespace

void write_attributes(const Handle& object, const Attributes& attributes) {
  for (const auto& [name, value] : attributes) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      write_text(object, name, *text);
    } else if (const auto* list = std::get_if<std::vector<double>>(&value)) {
      const auto count = static_cast<hsize_t>(list->size());
      const double nothing = 0;  // HDF5 wants an address even for no values
      write_one(object, name, H5T_IEEE_F64LE, Handle(H5Screate_simple(1, &count, nullptr), H5Sclose),
                list->empty() ? &nothing : list->data());
    } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      write_one(object, name, H5T_STD_I64LE, Handle(H5Screate(H5S_SCALAR), H5Sclose), integer);
    } else {
      write_one(object, name, H5T_IEEE_F64LE, Handle(H5Screate(H5S_SCALAR), H5Sclose),
                &std::get<double>(value));
    }
  }
}

void write_text_list(const Handle& object, const std::string& name, std::span<const std::string> texts) {
  std::size_t width = 1;
  for (const auto& text : texts) width = std::max(width, text.size());
  std::string block(width * std::max<std::size_t>(texts.size(), 1), '\0');
  for (std::size_t i = 0; i < texts.size(); ++i) block.replace(i * width, texts[i].size(), texts[i]);
  const auto count = static_cast<hsize_t>(texts.size());
  write_one(object, name, text_type(width).get(), Handle(H5Screate_simple(1, &count, nullptr), H5Sclose), block.data());
}

void write_description(const Handle& dataset, const Description& description) {
  if (!description.definition.empty()) write_attributes(dataset, attributes_of(description));
}

Description read_description(const Handle& dataset) {
  if (!has_attribute(dataset, "definition")) return {};
  const auto attributes = read_attributes(dataset);
  const auto text = [&](const char* name) { return attribute_value<std::string>(attributes, name); };
  return {text("long_name"), text("units"), text("definition")};
}

bool has_attribute(const Handle& object, const std::string& name) {
  return H5Aexists(object.get(), name.c_str()) > 0;
}

Attributes read_attributes(const Handle& object) {
  Attributes attributes;
  for (const auto& name : list_attributes(object)) {
    const Handle attribute(
        check(H5Aopen(object.get(), name.c_str(), H5P_DEFAULT), "open attribute", object.get(), name),
        H5Aclose);
    if (auto value = read_one(attribute)) attributes.emplace_back(name, std::move(*value));
  }
  return attributes;
}

std::uint64_t content_hash(const Handle& group) {
  return hash_group(group, 0, "content_hash");
}

}  // namespace grokscope::hdf5
