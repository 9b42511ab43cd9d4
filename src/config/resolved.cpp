#include "config/resolved.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/hash.hpp"
#include "base/text.hpp"

namespace grokscope {
namespace {

using Json = nlohmann::ordered_json;
using Values = std::map<std::string, std::string>;

constexpr const char* kAbsent = "absent";

Node& map_at(Node& root, const std::string& path) {
  Node* node = &root;
  if (path.empty()) return root;
  for (const auto& name : split(path, '.')) {
    Node* next = node->find(name);
    node = next ? next : &node->set(name, Node::map());
  }
  return *node;
}

/// "  # [epoch] passes over the training set", or nothing for a key without a row.
std::string comment_of(const std::string& path, const std::map<std::string, KeyRow>& rows) {
  const auto row = rows.find(path);
  if (row == rows.end()) return "";
  const auto unit = row->second.unit.empty() ? "" : "[" + row->second.unit + "] ";
  return "  # " + unit + row->second.meaning;
}

class YamlWriter {
 public:
  explicit YamlWriter(const Schemas& schemas) {
    for (auto& row : schemas.rows()) rows_.emplace(row.path, row);
  }

  void write_map(const Node& map, const std::string& path, int indent) {
    for (const auto& entry : map.entries) {
      const auto below = path_of(path, entry.key);
      out_ += std::string(static_cast<std::size_t>(indent), ' ') + to_line(Node::string(entry.key)) + ":";
      write_value(entry.value, below, indent);
    }
  }

  std::string take() { return std::move(out_); }

 private:
  static bool holds_maps(const Node& list) {
    return std::any_of(list.items.begin(), list.items.end(), [](const Node& item) { return item.is_map(); });
  }

  void write_value(const Node& value, const std::string& path, int indent) {
    const auto comment = comment_of(path, rows_);
    if (value.is_map() && !value.entries.empty()) {
      out_ += comment + "\n";
      write_map(value, path, indent + 2);
    } else if (value.is_list() && holds_maps(value)) {
      out_ += comment + "\n";
      for (const auto& item : value.items) {
        out_ += std::string(static_cast<std::size_t>(indent) + 2, ' ') + "- " + to_line(item) + "\n";
      }
    } else {
      out_ += " " + to_line(value) + comment + "\n";
    }
  }

  std::map<std::string, KeyRow> rows_;
  std::string out_;
};

/// Calls ConfigType<T>::parse; false where the text is not of that type.
template <class T>
bool reads_as(const Node& node, T& value) {
  try {
    value = ConfigType<T>::parse(node);
    return true;
  } catch (const ValueProblem&) {
    return false;
  }
}

Json scalar_to_json(const Node& node) {
  if (node.quoted) return node.scalar;
  if (node.scalar == "true" || node.scalar == "false") return node.scalar == "true";
  double number = 0;
  if (!reads_as(node, number) || !std::isfinite(number)) return node.scalar;
  std::int64_t integer = 0;
  const bool has_point = node.scalar.find_first_of(".eE") != std::string::npos;
  if (!has_point && reads_as(node, integer)) return integer;
  return number;
}

Json to_json(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return nullptr;
    case Node::Kind::scalar:
      return scalar_to_json(node);
    case Node::Kind::list: {
      Json list = Json::array();
      for (const auto& item : node.items) list.push_back(to_json(item));
      return list;
    }
    case Node::Kind::map: {
      Json map = Json::object();
      for (const auto& entry : node.entries) map[entry.key] = to_json(entry.value);
      return map;
    }
  }
  throw InternalError("a node of no kind");
}

Node with_sorted_keys(Node node) {
  for (auto& item : node.items) item = with_sorted_keys(std::move(item));
  for (auto& entry : node.entries) entry.value = with_sorted_keys(std::move(entry.value));
  std::sort(node.entries.begin(), node.entries.end(),
            [](const Node::Entry& a, const Node::Entry& b) { return a.key < b.key; });
  return node;
}

/// Every value that is no map, by its path; lists are values.
void flatten(const Node& node, const std::string& path, Values& values) {
  if (!node.is_map() || node.entries.empty()) {
    if (!path.empty()) values[path] = to_line(with_sorted_keys(node));
    return;
  }
  for (const auto& entry : node.entries) flatten(entry.value, path_of(path, entry.key), values);
}

Values flatten(const Node& node) {
  Values values;
  flatten(node, "", values);
  return values;
}

/// The present spelling of each value of an earlier document: keys that it lacks stay absent.
Values normalised(const Node& before, const Schemas& schemas) {
  Values values = flatten(before);
  for (const auto& section : schemas.sections()) {
    for (const auto& key : section.schema.keys()) {
      const auto path = path_of(section.path, key.name());
      const Node* value = find_path(before, path);
      if (!value) continue;
      Values spelled;
      flatten(key.normalise(*value), path, spelled);
      for (const auto& [leaf, text] : spelled) {
        if (const auto known = values.find(leaf); known != values.end()) known->second = text;
      }
    }
  }
  return values;
}

}  // namespace

Node resolved(const Schemas& schemas, Content content) {
  Node root = Node::map();
  for (const auto& section : schemas.sections()) {
    Node& map = map_at(root, section.path);
    for (auto& entry : section.schema.format(content).entries) map.set(entry.key, std::move(entry.value));
  }
  return root;
}

std::string resolved_yaml(const Schemas& schemas) {
  YamlWriter writer(schemas);
  writer.write_map(resolved(schemas), "", 0);
  return "# The resolved configuration: every key with the value that the run uses.\n" + writer.take();
}

std::string resolved_json(const Schemas& schemas) {
  return to_json(resolved(schemas)).dump(2) + "\n";
}

std::uint64_t fingerprint(const Schemas& schemas, std::span<const std::string> excluded) {
  std::string text;
  for (const auto& [path, value] : flatten(resolved(schemas, Content::scientific))) {
    const auto covers = [&path = path](const std::string& ancestor) { return lies_within(path, ancestor); };
    if (std::none_of(excluded.begin(), excluded.end(), covers)) text += path + ": " + value + "\n";
  }
  return hash_text(text);
}

std::string Difference::text() const {
  return fmt::format("{} {} -> {}", path, before, after);
}

std::vector<Difference> difference(const Node& before, const Schemas& after) {
  const auto old_values = normalised(before, after);
  const auto new_values = flatten(resolved(after));
  const auto rows = after.rows();
  std::vector<Difference> found;
  for (const auto& [path, value] : new_values) {
    const auto old = old_values.find(path);
    if (old != old_values.end() && old->second == value) continue;
    found.push_back(
        {path, old == old_values.end() ? kAbsent : old->second, value, is_scientific(path, rows)});
  }
  for (const auto& [path, value] : old_values) {
    if (!new_values.contains(path)) found.push_back({path, value, kAbsent, is_scientific(path, rows)});
  }
  std::sort(found.begin(), found.end(),
            [](const Difference& a, const Difference& b) { return a.path < b.path; });
  return found;
}

}  // namespace grokscope
