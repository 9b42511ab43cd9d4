// How fast is this machine, and how fast is this model on it?
// A measurement of less than two seconds that makes the estimates of `grokscope check` ones of this machine. It informs the
// estimate only: nothing that is computed ever depends on it.
#pragma once

#include <filesystem>

#include "run/configuration.hpp"
#include "run/cost_model.hpp"

namespace grokscope {

/// Times dgemm, a copy in memory, and a write to the file system that holds `folder` (or the nearest folder above it that
/// exists), synced, through a file without a name. Where that cannot be written the rate stays as it is. Network rates
/// are those of `known`. Local.
MachineRates measure_machine(const std::filesystem::path& folder, const MachineRates& known);

/// Times passes of a few and of many training examples, and one tile of the Gram matrix, less what inputs save that repeat
/// among `tracked` examples. The task has data and model. Local.
ModelTimes measure_model(const RunConfiguration& configuration, std::int64_t tracked);

/// How many examples to time beside `first` of them, which took first_s: as many as fit into a short while, or, where the first
/// were long already, a quarter of them; never the same number, unless there is one example in all. Local.
std::int64_t second_sample(std::int64_t first, double first_s, std::int64_t all);

/// Overhead and time an example of passes that took so long. Local.
PassTimes line_through(std::int64_t first, double first_s, std::int64_t second, double second_s);

}  // namespace grokscope
