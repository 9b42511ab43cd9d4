// What will a study do, and what will it cost? (`grokscope check`)
#pragma once

#include <string>

#include "run/plan.hpp"
#include "study/study_configuration.hpp"

namespace grokscope {

/// One plan for each set of members that differ in their seed only, and the sum over all members. Takes their
/// configurations. Local.
std::string plan_text(StudyConfiguration& study, const PlanRequest& request);

}  // namespace grokscope
