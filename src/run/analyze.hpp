// What would a probe have seen? (`grokscope analyze`)
// Runs a probe on the stored checkpoints and data.h5 of a run, on any rank count, into RUN_DIR/analysis/<name>/.
#pragma once

#include <vector>

#include "run/session.hpp"

namespace grokscope {

/// `epochs` empty means every checkpoint. Returns the directory written. Collective.
std::filesystem::path run_analysis(const Communicator& comm, RunConfiguration& configuration,
                                   const std::vector<std::int64_t>& epochs, const std::string& name,
                                   const SessionOptions& options);

}  // namespace grokscope
