// What did the user write, and where?
// The tree of a configuration document: config builds it from YAML, Schema reads it into options. Every value
// and every key knows its place, so that an error can point at it. Knows no file format.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace grokscope {

/// A place in a file, 1-based; where `line` is 0 the value came from elsewhere, and `file` says from where
/// ("override 'training.lr=0.02'"; empty for a default).
struct Mark {
  std::string file;
  int line = 0;
  int column = 0;

  /// "a.yaml:3:5", "override 'training.lr=0.02'" or "default". Local.
  std::string text() const;
};

/// A value: nothing, a scalar (its text as written, without quotes), a list, or a map in the order of the
/// document.
struct Node {
  enum class Kind { null, scalar, list, map };
  struct Entry;

  Kind kind = Kind::null;
  std::string scalar;
  bool quoted = false;  ///< "5" in quotes is text, 5 is a number
  std::vector<Node> items;
  std::vector<Entry> entries;
  Mark mark;

  /// A scalar that means what it reads as: a number, a truth value, a word.
  static Node plain(std::string text);
  /// A scalar that is text, quoted where it would otherwise read as something else. Any bytes. Local.
  static Node string(const std::string& text);
  static Node list();  // no default argument below: it would need Entry to be complete here
  static Node list(std::vector<Node> items);
  static Node map();

  bool is_null() const { return kind == Kind::null; }
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_list() const { return kind == Kind::list; }
  bool is_map() const { return kind == Kind::map; }

  /// Returns the value of a key, or nullptr.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
  /// Replaces or appends a key; a null becomes a map. Returns the value in its place.
  Node& set(const std::string& key, Node value);
};

struct Node::Entry {
  std::string key;
  Mark mark;
  Node value;
};

/// True when both hold the same values in the same order; marks and styles of quoting do not count.
bool operator==(const Node& a, const Node& b);

/// Returns the value at a path such as "training.lr" or "members[2].name", or nullptr. Local.
const Node* find_path(const Node& root, std::string_view path);

/// Writes a value on one line as YAML: "[0.9, 0.999]", "{kind: log, points: 200}". Read back, it is the same
/// value.
std::string to_line(const Node& node);

/// "training.lr", or "lr" at the root.
std::string path_of(const std::string& parent, const std::string& key);

/// True for a path itself and for all below it: "training.lr" lies within "training".
bool lies_within(std::string_view path, std::string_view ancestor);

}  // namespace grokscope
