#include "io/dimension_scale.hpp"

#include <algorithm>

namespace grokscope::hdf5 {
namespace {

/// One entry of a scale's REFERENCE_LIST, laid out as HDF5's own ds_list_t.
struct ScaleUser {
  hobj_ref_t dataset;
  unsigned axis;
};

/// An attribute in the earliest file format holds 64 KB; columns beyond that many stay without a scale.
constexpr std::size_t kMaxUsers = 65000 / sizeof(ScaleUser);

hobj_ref_t reference_to(const Handle& file, const std::string& path) {
  hobj_ref_t reference = 0;
  check(H5Rcreate(&reference, file.get(), path.c_str(), H5R_OBJECT, -1), "refer to", file.get(), path);
  return reference;
}

void write_attribute(const Handle& object, const char* name, const Handle& type, const Handle& space,
                     const void* value) {
  const Handle attribute(
      check(H5Acreate2(object.get(), name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
            "create attribute", object.get(), name),
      H5Aclose);
  check(H5Awrite(attribute.get(), type.get(), value), "write attribute", object.get(), name);
}

Handle scale_user_type() {
  Handle type(H5Tcreate(H5T_COMPOUND, sizeof(ScaleUser)), H5Tclose);
  H5Tinsert(type.get(), "dataset", HOFFSET(ScaleUser, dataset), H5T_STD_REF_OBJ);
  H5Tinsert(type.get(), "dimension", HOFFSET(ScaleUser, axis), H5T_NATIVE_INT);
  return type;
}

Handle text_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), size);
  return type;
}

void mark_as_scale(const Handle& dataset, const std::string& name, const std::vector<ScaleUser>& users) {
  const Handle scalar(H5Screate(H5S_SCALAR), H5Sclose);
  write_attribute(dataset, "CLASS", text_type(sizeof("DIMENSION_SCALE")), scalar, "DIMENSION_SCALE");
  write_attribute(dataset, "NAME", text_type(name.size() + 1), scalar, name.c_str());
  if (users.empty()) return;
  const hsize_t count = users.size();
  write_attribute(dataset, "REFERENCE_LIST", scale_user_type(),
                  Handle(H5Screate_simple(1, &count, nullptr), H5Sclose), users.data());
}

void point_to_scales(const Handle& column, const std::vector<hobj_ref_t>& scales) {
  std::vector<hvl_t> axes(shape_of(column).size(), hvl_t{0, nullptr});
  std::vector<hobj_ref_t> references = scales;
  axes[0] = {references.size(), references.data()};
  const hsize_t rank = axes.size();
  write_attribute(column, "DIMENSION_LIST", Handle(H5Tvlen_create(H5T_STD_REF_OBJ), H5Tclose),
                  Handle(H5Screate_simple(1, &rank, nullptr), H5Sclose), axes.data());
}

}  // namespace

void attach_scales(const Handle& file, std::span<const std::string> scales,
                   std::span<const std::string> columns) {
  columns = columns.first(std::min(columns.size(), kMaxUsers));
  std::vector<hobj_ref_t> scale_references;
  for (const auto& scale : scales) scale_references.push_back(reference_to(file, scale));
  std::vector<ScaleUser> users;
  for (const auto& column : columns) {
    point_to_scales(open_dataset(file, column), scale_references);
    users.push_back({reference_to(file, column), 0});
  }
  for (const auto& scale : scales) {
    mark_as_scale(open_dataset(file, scale), scale.substr(scale.rfind('/') + 1), users);
  }
}

}  // namespace grokscope::hdf5
