#include "study/study_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "run/calibration.hpp"

namespace grokscope {

std::string plan_text(StudyConfiguration& study, const PlanRequest& request) {
  if (request.most_ranks > request.ranks) {
    throw UserError("a study has no table of rank counts (its members share the ranks), give one number, or check its base");
  }
  auto each = request;
  each.ranks = each.most_ranks = ranks_per_member(study, request.ranks);
  if (request.calibrate) each.rates = measure_machine(study.run_directory, request.rates);
  each.has_machine = request.calibrate;
  const int at_once = request.ranks / each.ranks;
  std::string text = fmt::format("study of {} members, {} at a time on {} rank(s) each: {}\n", study.members.size(), at_once,
                                 each.ranks, study.run_directory.string());
  Plan sum;
  for (std::size_t i = 0; i < study.members.size(); ++i) {
    const auto same_group = [&](const StudyMember& m) { return m.group == study.members[i].group; };
    const bool is_first = std::find_if(study.members.begin(), study.members.end(), same_group) - study.members.begin() ==
                          static_cast<std::ptrdiff_t>(i);
    if (!is_first) continue;
    const auto seeds = std::count_if(study.members.begin(), study.members.end(), same_group);
    const auto configuration = std::move(study.members[i].configuration);  // its data goes with it
    const auto plan = make_plan(*configuration, each);
    const auto others = seeds > 1 ? fmt::format(" and {} other seed(s)", seeds - 1) : "";
    text += fmt::format("\n== {}{}\n\n{}", study.members[i].name, others, plan.text);
    sum.steps += seeds * plan.steps;
    sum.moments += seeds * plan.moments;
    sum.disk_bytes += static_cast<double>(seeds) * plan.disk_bytes;
    sum.seconds += static_cast<double>(seeds) * plan.seconds;
  }
  return text + fmt::format("\n== sum of {} members: {} steps, {} tracked moments, {} on disk, about {}\n", study.members.size(),
                            sum.steps, sum.moments, format_bytes(sum.disk_bytes), format_duration(sum.seconds / at_once));
}

}  // namespace grokscope
