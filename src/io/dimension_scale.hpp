// Which axis does a dataset run along?
// Writes the attributes of HDF5's dimension-scale convention (H5DS) in one go. The library's own
// H5DSattach_scale rewrites the scale's list of users at every call, which is quadratic in thousands of
// columns and leaves the old lists in the file.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "io/hdf5.hpp"

namespace grokscope::hdf5 {

/// Makes `scales` (paths of one-dimensional datasets of `file`) the scales of axis 0 of every one of
/// `columns`. Call it once for a set of scales. Local.
void attach_scales(const Handle& file, std::span<const std::string> scales,
                   std::span<const std::string> columns);

}  // namespace grokscope::hdf5
