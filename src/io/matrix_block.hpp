// What is in a block of a matrix that was stored, on the way to another file?
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/block_cyclic.hpp"

namespace grokscope {

/// Reads [rows, cols] of the matrix `name` of a file, row-major, as float64: of a two-dimensional dataset, or of a symmetric
/// matrix of which the tiles of the lower triangle are stored (storage.layout: lower), no tile but those that the block meets.
/// Throws EnvironmentError when it cannot be read. Local.
void read_matrix_block(const std::filesystem::path& path, const std::string& name, IndexRange rows, IndexRange cols,
                       std::span<double> out);

}  // namespace grokscope
