// What is in a block of a matrix that was stored, on the way to another file?
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/block_cyclic.hpp"

namespace grokscope {

/// Reads [rows, cols] of the two-dimensional dataset `name` of a file, row-major, as float64. Throws EnvironmentError when
/// it cannot be read. Local.
void read_matrix_block(const std::filesystem::path& path, const std::string& name, IndexRange rows, IndexRange cols,
                       std::span<double> out);

}  // namespace grokscope
