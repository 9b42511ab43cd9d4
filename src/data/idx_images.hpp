// What is in these IDX files? (the format of MNIST: http://yann.lecun.com/exdb/mnist, "THE IDX FILE FORMAT")
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "data/dataset.hpp"

namespace grokscope {

/// Reads an uncompressed IDX file of unsigned bytes: [n] or [n, rows, columns], as uint8. Throws EnvironmentError that
/// names the file, what is wrong and `fix` (the command that brings it).
at::Tensor read_idx(const std::filesystem::path& path, const std::string& fix);

/// Reads the first n images (none: all) of `<prefix>-images-idx3-ubyte` and `<prefix>-labels-idx1-ubyte` in `folder`. inputs
/// [n, rows*columns] uint8, targets [n] int64, ids first_id + row in the file. Fewer than n are an EnvironmentError.
Dataset read_idx_pair(const std::filesystem::path& folder, const std::string& prefix, std::int64_t first_id,
                      std::optional<std::int64_t> n, const std::string& fix);

}  // namespace grokscope
