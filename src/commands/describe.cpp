#include "commands/describe.hpp"

#include <fmt/format.h>

#include "study/study_configuration.hpp"

namespace grokscope {
namespace {

/// One table a section.
std::string key_tables(const Schemas& schemas) {
  std::string text;
  for (const auto& section : schemas.sections()) {
    std::vector<KeyRow> rows;
    for (const auto& key : section.schema.keys()) key.append_rows(section.path, rows);
    if (rows.empty()) continue;
    text += fmt::format("## {}\n\n{}\n", section.path.empty() ? "top level" : section.path, markdown_table(rows));
  }
  return text;
}

}  // namespace

std::string list_text(Experiments experiments) {
  std::string text;
  for (const auto& e : experiments) text += fmt::format("{:<22} {}\n", e.info.name, e.info.title);
  return text + fmt::format("{:<22} {}\n", "study",
                            "Several of these runs as one: members, grid, seeds ('grokscope describe study')");
}

std::string describe_text(const std::string& name, Experiments experiments) {
  const auto& experiment = find_experiment(name, experiments);
  const auto configuration = default_configuration(name, experiments);
  auto text = fmt::format("# {}\n\n{}\n\nClaim: {}\n\nSource: {}\n\n", experiment.info.name, experiment.info.title,
                          experiment.info.claim, experiment.info.citation);
  return text + key_tables(configuration->schemas);
}

std::string describe_study_text() {
  StudyOptions options;
  Schemas schemas;
  options.declare(schemas);
  return "# study\n\nSeveral runs as one experiment, in one file: each member is an ordinary run in RUN/members/<name>/, and "
         "RUN/study.h5 has a row for each. All other sections of the file, and overrides, apply to every member.\n\n" +
         key_tables(schemas);
}

}  // namespace grokscope
