#include "base/node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "base/error.hpp"

namespace grokscope {
namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// True when the text needs no quotes in any place of a YAML document.
bool can_stand_plain(std::string_view text) {
  constexpr std::string_view inner = "_./+-";
  if (text.empty() || !(is_alphanumeric(text[0]) || inner.find(text[0]) != std::string_view::npos))
    return false;
  const auto allowed = [&](char c) { return is_alphanumeric(c) || inner.find(c) != std::string_view::npos; };
  return std::all_of(text.begin(), text.end(), allowed) &&
         std::any_of(text.begin(), text.end(), is_alphanumeric);
}

/// True for words that some YAML reader takes for a truth value, a number or nothing.
bool reads_as_something_else(std::string_view text) {
  constexpr std::array words{"null", "none", "true", "false", "yes", "no",   "on",      "off",
                             "y",    "n",    "inf",  ".inf",  "nan", ".nan", "infinity"};
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::find(words.begin(), words.end(), lower) != words.end();
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string key_text(const std::string& key) {
  return to_line(Node::string(key));
}

/// Takes "[2]" from the front of `path`; returns nullptr when it does not fit the value.
const Node* step_into_list(const Node& node, std::string_view& path) {
  const auto close = path.find(']');
  if (close == std::string_view::npos || !node.is_list()) return nullptr;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(path.data() + 1, path.data() + close, index);
  if (error != std::errc() || end != path.data() + close || index >= node.items.size()) return nullptr;
  path.remove_prefix(close + 1);
  return &node.items[index];
}

}  // namespace

std::string Mark::text() const {
  if (line > 0) return fmt::format("{}:{}:{}", file, line, column);
  return file.empty() ? "default" : file;
}

Node Node::plain(std::string text) {
  Node node;
  node.kind = Kind::scalar;
  node.scalar = std::move(text);
  node.quoted = !can_stand_plain(node.scalar);
  return node;
}

Node Node::string(const std::string& text) {
  Node node = plain(text);
  const bool starts_as_word =
      !text.empty() && (text[0] == '_' || std::isalpha(static_cast<unsigned char>(text[0])));
  node.quoted = node.quoted || !starts_as_word || reads_as_something_else(text);
  return node;
}

Node Node::list() {
  return list(std::vector<Node>());
}

Node Node::list(std::vector<Node> items) {
  Node node;
  node.kind = Kind::list;
  node.items = std::move(items);
  return node;
}

Node Node::map() {
  Node node;
  node.kind = Kind::map;
  return node;
}

const Node* Node::find(std::string_view key) const {
  const auto entry =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == key; });
  return entry == entries.end() ? nullptr : &entry->value;
}

Node* Node::find(std::string_view key) {
  return const_cast<Node*>(std::as_const(*this).find(key));
}

Node& Node::set(const std::string& key, Node value) {
  require(is_null() || is_map(), "a key is set in a value that is no map");
  kind = Kind::map;
  for (auto& entry : entries) {
    if (entry.key != key) continue;
    entry.mark = value.mark;
    return entry.value = std::move(value);
  }
  entries.push_back({key, value.mark, std::move(value)});
  return entries.back().value;
}

bool operator==(const Node& a, const Node& b) {
  const auto same_entry = [](const Node::Entry& x, const Node::Entry& y) {
    return x.key == y.key && x.value == y.value;
  };
  return a.kind == b.kind && a.scalar == b.scalar && a.items == b.items &&
         std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(), same_entry);
}

const Node* find_path(const Node& root, std::string_view path) {
  const Node* node = &root;
  while (!path.empty() && node) {
    if (path[0] == '[') {
      node = step_into_list(*node, path);
    } else {
      if (path[0] == '.') path.remove_prefix(1);
      const auto end = std::min(path.find_first_of(".["), path.size());
      node = node->find(path.substr(0, end));
      path.remove_prefix(end);
    }
  }
  return node;
}

std::string to_line(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "null";
    case Node::Kind::scalar:
      return node.quoted || !can_stand_plain(node.scalar) ? in_quotes(node.scalar) : node.scalar;
    case Node::Kind::list: {
      std::vector<std::string> words;
      for (const auto& item : node.items) words.push_back(to_line(item));
      return fmt::format("[{}]", fmt::join(words, ", "));
    }
    case Node::Kind::map: {
      std::vector<std::string> words;
      for (const auto& entry : node.entries)
        words.push_back(key_text(entry.key) + ": " + to_line(entry.value));
      return fmt::format("{{{}}}", fmt::join(words, ", "));
    }
  }
  throw InternalError("a node of no kind");
}

std::string path_of(const std::string& parent, const std::string& key) {
  return parent.empty() ? key : parent + "." + key;
}

bool lies_within(std::string_view path, std::string_view ancestor) {
  if (!path.starts_with(ancestor)) return false;
  return path.size() == ancestor.size() || path[ancestor.size()] == '.' || path[ancestor.size()] == '[';
}

}  // namespace grokscope
