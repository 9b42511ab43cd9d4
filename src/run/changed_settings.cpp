#include "run/changed_settings.hpp"

#include "base/text.hpp"
#include "config/document.hpp"
#include "io/durable_file.hpp"

namespace grokscope {
namespace {

/// The keys that differ from the stored configuration and, if `scientific`, change results; else those that do not.
std::string differing_keys(const std::string& stored_yaml, const Schemas& present, bool scientific) {
  std::vector<std::string> lines;
  for (const auto& d : difference(parse_document(stored_yaml, "config.yaml"), present)) {
    if (d.scientific == scientific) lines.push_back(d.text());
  }
  return join(lines, "; ");
}

}  // namespace

std::string forbidding_changes(const std::string& stored_yaml, const RunConfiguration& c) {
  const auto safe = differing_keys(stored_yaml, c.schemas, false);
  return differing_keys(stored_yaml, c.schemas, true) + (safe.empty() ? "" : " (safe to go on with, but for these: " + safe + ")");
}

std::string safe_changes(const RunConfiguration& c) {
  const auto stored = c.run_directory / "config.yaml";
  if (!std::filesystem::exists(stored)) return "";
  try {
    return differing_keys(read_text(stored), c.schemas, false);
  } catch (const Error&) {
    return "";  // what cannot be read is written anew
  }
}

}  // namespace grokscope
