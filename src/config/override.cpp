#include "config/override.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "config/document.hpp"

namespace grokscope {
namespace {

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

bool contains(std::string_view letters, char c) {
  return letters.find(c) != std::string_view::npos;
}

bool is_key_path(const std::string& path) {
  for (const auto& part : split(path, '.')) {
    const auto stray = part.find_first_not_of(std::string(kLetters) + "_-");
    if (part.empty() || part[0] == '-' || stray != std::string::npos) return false;
  }
  return true;
}

std::string origin_of(const std::string& text) {
  return fmt::format("override '{}'", text);
}

[[noreturn]] void refuse(const Mark& mark, const std::string& what, const std::string& why, const std::string& fix) {
  Problems problems;
  problems.add(mark, what, why, fix);
  problems.throw_if_any();
  throw InternalError("a problem was not reported");
}

void mark_all(Node& node, const Mark& mark) {
  node.mark = mark;
  for (auto& item : node.items) mark_all(item, mark);
  for (auto& entry : node.entries) {
    entry.mark = mark;
    mark_all(entry.value, mark);
  }
}

std::string last_component(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

}  // namespace

Assignment parse_override(const std::string& text, const Mark& place) {
  const auto mark = place.line > 0 ? place : Mark{origin_of(text), 0, 0};
  const auto equals = text.find('=');
  const auto path = std::string(trim(text.substr(0, equals)));
  if (equals == std::string::npos || !is_key_path(path)) {
    refuse(mark, "not of the form key.path=value", "a key path is names joined by dots",
           "write for example training.lr=0.02");
  }
  Assignment assignment{path, parse_value(std::string(trim(text.substr(equals + 1))), mark.text())};
  mark_all(assignment.value, mark);
  return assignment;
}

void set_key(Node& root, const Assignment& assignment) {
  const auto& mark = assignment.value.mark;
  const auto names = split(assignment.path, '.');
  Node* node = &root;
  std::string reached;
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    reached = path_of(reached, names[i]);
    Node* next = node->find(names[i]);
    if (!next || next->is_null()) {
      Node map = Node::map();
      map.mark = mark;
      next = &node->set(names[i], std::move(map));
    }
    if (!next->is_map()) {
      refuse(mark, fmt::format("'{}' holds {}", reached, name_of(*next)), "only a map has keys below it",
             fmt::format("set '{}' as a whole", reached));
    }
    node = next;
  }
  node->set(names.back(), assignment.value);
}

void apply_override(Node& root, const std::string& override_text) { set_key(root, parse_override(override_text)); }

std::string short_key_name(const std::string& path, std::span<const KeyRow> rows) {
  const auto last = last_component(path);
  const auto bearers = std::count_if(rows.begin(), rows.end(), [&](const KeyRow& row) {
    const bool is_of_a_claim = row.path.starts_with("expected[]");  // which no override sets, and no run is named after
    return !is_of_a_claim && last_component(row.path) == last;
  });
  return bearers <= 1 || path == "training." + last ? last : path;
}

std::string file_name_part(const std::string& value) {
  std::string out;
  bool ambiguous = false;
  for (const char c : value) {
    if (contains(" []{}'\"", c)) continue;
    const bool allowed = contains(kLetters, c) || contains("._=,+-", c);
    ambiguous = ambiguous || !allowed;
    out += allowed ? c : '_';
  }
  return ambiguous ? out + "-" + hex(hash_text(value)).substr(0, 8) : out;
}

std::string overrides_suffix(std::span<const std::string> overrides, const Schemas& schemas) {
  constexpr std::size_t longest = 60;
  const auto rows = schemas.rows();
  std::map<std::string, std::string> values;
  for (const auto& text : overrides) {
    const auto path = parse_override(text).path;
    if (is_scientific(path, rows)) values[path] = std::string(trim(text.substr(text.find('=') + 1)));
  }
  std::vector<std::string> parts;
  std::string exact;
  for (const auto& [path, value] : values) {
    parts.push_back(fmt::format("+{}={}", short_key_name(path, rows), file_name_part(value)));
    exact += path + '=' + value + '\n';
  }
  std::sort(parts.begin(), parts.end());
  const auto suffix = join(parts, "");
  return suffix.size() <= longest ? suffix : fmt::format("+{:.12}", hex(hash_text(exact)));
}

}  // namespace grokscope
