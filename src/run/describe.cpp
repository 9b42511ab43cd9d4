#include "run/describe.hpp"

#include <fmt/format.h>

namespace grokscope {

std::string list_text(Experiments experiments) {
  std::string text;
  for (const auto& e : experiments) text += fmt::format("{:<22} {}\n", e.info.name, e.info.title);
  return text;
}

std::string describe_text(const Experiment& experiment) {
  const auto configuration = default_configuration(experiment);
  auto text = fmt::format("# {}\n\n{}\n\nClaim: {}\n\nSource: {}\n\n", experiment.info.name, experiment.info.title,
                          experiment.info.claim, experiment.info.citation);
  for (const auto& section : configuration->schemas.sections()) {
    std::vector<KeyRow> rows;
    for (const auto& key : section.schema.keys()) key.append_rows(section.path, rows);
    if (rows.empty()) continue;
    text += fmt::format("## {}\n\n{}\n", section.path.empty() ? "top level" : section.path, markdown_table(rows));
  }
  return text;
}

}  // namespace grokscope
