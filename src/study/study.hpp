// Several runs as one experiment: who trains which member, and what is known when all have ended?
// Every member is an ordinary session on a communicator of its own, with the bits that it would have alone on
// as many ranks.
#pragma once

#include <string>
#include <vector>

#include "run/session.hpp"
#include "study/study_configuration.hpp"

namespace grokscope {

struct StudyResult {
  std::vector<Verdict> verdicts;
  std::string problem;             ///< which members failed and why; empty when all are done
  ExitCode code = ExitCode::done;  ///< of the first member that failed
};

/// Trains the members that are not done yet and writes study.h5 whenever one ends. A member whose ranks all
/// meet the same user or environment error is recorded as failed, members after it are skipped, the others go
/// on; any other error is thrown on the rank that meets it. Throws StopRequested, after every group has
/// committed, when asked to stop. Collective over world.
StudyResult run_study(const Communicator& world, StudyConfiguration& study, const SessionOptions& options);

}  // namespace grokscope
