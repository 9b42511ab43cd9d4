// What does a user see when a run ends?
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/timer.hpp"
#include "comm/communicator.hpp"
#include "run/expected.hpp"
#include "train/events.hpp"

namespace grokscope {

/// Phases over ranks with imbalance, memory high-water, warnings of all ranks, claim against result, where the files are,
/// what to type next, whom to cite. Collective.
void print_summary(const Communicator& comm, Log& log, const TimerTree& timers, const std::vector<Verdict>& verdicts,
                   const std::filesystem::path& directory, const std::string& citation, const Events& events);

}  // namespace grokscope
