// Does the run show what the paper showed?
// Reads the finished metrics.h5 and compares it with the `expected:` list.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/options.hpp"

namespace grokscope {

struct Verdict {
  std::string claim;    ///< "training/test_loss <= 0.1 first at epoch: within [800, 4500]"
  std::string found;    ///< the number, or why there is none
  bool met = false;
  std::string source;
};

/// One verdict per expectation. Local.
std::vector<Verdict> compare(const std::vector<Expectation>& expected, const std::filesystem::path& metrics_file);

}  // namespace grokscope
