// What is in the binary files of CIFAR-10? (https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version")
#pragma once

#include <filesystem>
#include <string>

#include "data/dataset.hpp"

namespace grokscope {

/// Reads the first `n` images of data_batch_1.bin .. data_batch_5.bin (`split` "train", 50,000) or test_batch.bin ("test",
/// 10,000) from `folder`, opening only the files that hold them. inputs [n, 3072] uint8: 1024 red, then green, then blue
/// values, row by row; targets [n] int64, 0..9; ids: position in the split, behind 50,000 for test. Throws EnvironmentError
/// that names the file, what is wrong and `fix` (the command that brings it). Local.
Dataset read_cifar10(const std::filesystem::path& folder, const std::string& split, std::int64_t n, const std::string& fix);

}  // namespace grokscope
