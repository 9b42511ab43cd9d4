// What would a probe have seen? (`grokscope analyze`)
// Runs every probe of a run, and its paper's observables, on the stored checkpoints and data.h5, on any rank count, into
// RUN_DIR/analysis/<name>/. What is there already is kept, and only what is missing is measured.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "run/session.hpp"

namespace grokscope {

/// The folder below RUN_DIR/analysis of an analysis that nobody has named: "gop" and what distinguishes it, "+examples=10" or
/// "+epochs=0,1000". Local.
std::string analysis_name(std::span<const std::string> overrides, std::span<const std::int64_t> epochs, const Schemas& schemas);

/// `epochs` empty means every checkpoint. Schedules do not count: each probe measures at each of them, but for those that
/// need a training pass. An observable that compares with an earlier moment compares with the one that the checkpoint
/// remembers. Returns the directory written. Throws UserError when it holds an analysis with other settings, StopRequested
/// after the last moment that could be finished. Collective over comm.
std::filesystem::path run_analysis(const Communicator& comm, RunConfiguration& configuration,
                                   const std::vector<std::int64_t>& epochs, const std::string& name,
                                   const SessionOptions& options);

}  // namespace grokscope
