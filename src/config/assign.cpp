#include "config/assign.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace grokscope {
namespace {

/// Names of the maps directly below `path` that hold sections: "probes" below "", "attribution" below
/// "probes".
std::vector<std::string> names_below(const std::string& path, const Schemas& schemas) {
  const std::string prefix = path.empty() ? "" : path + ".";
  std::vector<std::string> names;
  for (const auto& section : schemas.sections()) {
    if (section.path == path || !section.path.starts_with(prefix)) continue;
    const auto name =
        section.path.substr(prefix.size(), section.path.find('.', prefix.size()) - prefix.size());
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

void read_section(const Node& map, const std::string& path, const Schemas& schemas, Reading& reading) {
  static const Schema no_keys;
  const Schema* schema = schemas.find(path);
  const auto names = names_below(path, schemas);
  (schema ? *schema : no_keys).read(map, path, reading, names);
  for (const auto& name : names) {
    Node missing;
    missing.mark = map.mark;
    const Node* below = map.find(name);
    read_section(below ? *below : missing, path_of(path, name), schemas, reading);
  }
}

}  // namespace

void assign(const Node& root, const Schemas& schemas) {
  Reading reading{Problems(root), names_below("", schemas)};
  for (const auto& row : schemas.rows()) reading.known_paths.push_back(row.path);
  read_section(root, "", schemas, reading);
  reading.problems.throw_if_any();
}

}  // namespace grokscope
