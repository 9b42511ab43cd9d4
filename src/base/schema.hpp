// Which keys may a configuration have, and what does each of them mean?
// An options struct declares its keys beside its fields, in void declare(Schema& s): s.add("lr", lr, "...").
// The field's value is the default, so that defaults live in one place; documentation, checks and messages
// come from the same lines. config reads documents into schemas; an experiment or a probe adds keys alike.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/node.hpp"

namespace grokscope {

/// One thing that is wrong, in the words "what (why), fix"; `why` and `fix` may be empty.
struct Problem {
  Mark mark;
  std::string key_path;
  std::string what;
  std::string why;
  std::string fix;

  /// "file:line:col: key.path: what (why), fix". Local.
  std::string text() const;
};

/// The UserError that Problems throws. Keeps them apart, so that those of several documents can be told at once.
class ConfigurationError : public UserError {
 public:
  ConfigurationError(const std::string& text, std::vector<Problem> problems)
      : UserError(text), problems_(std::move(problems)) {}

  const std::vector<Problem>& problems() const { return problems_; }

 private:
  std::vector<Problem> problems_;
};

/// Collects everything that is wrong with one document, so that the user is told once.
class Problems {
 public:
  /// Without a document every key path counts as a default.
  Problems() = default;
  explicit Problems(Node document) : document_(std::move(document)) {}

  void add(Problem problem) { problems_.push_back(std::move(problem)); }
  void add(const Mark& mark, const std::string& what, const std::string& why = "",
           const std::string& fix = "") {
    add(Problem{mark, "", what, why, fix});
  }
  /// Finds the place of the key in the document; a key that the document does not set is marked as a default.
  void add(const std::string& key_path, const std::string& what, const std::string& why = "",
           const std::string& fix = "");

  /// Adds those whose text is not there yet: two documents may share a part, and its problems.
  void add_new(std::span<const Problem> problems);

  bool empty() const { return problems_.empty(); }
  const std::vector<Problem>& all() const { return problems_; }

  /// Throws one ConfigurationError with all problems in the order of the document, or returns. Local.
  void throw_if_any() const;

 private:
  Node document_;
  std::vector<Problem> problems_;
};

/// A value that cannot be used: ConfigType<T>::parse throws it, and the reader adds place and key.
class ValueProblem : public std::runtime_error {
 public:
  explicit ValueProblem(const std::string& what, std::string why_text = "", std::string fix_text = "")
      : std::runtime_error(what), why(std::move(why_text)), fix(std::move(fix_text)) {}

  std::string why;
  std::string fix;
};

/// "'abc'", "the text '5'", "a list", "nothing": how a message names what was found.
std::string name_of(const Node& node);

/// How a type is read and written. Specialise it for a type of your own ("all | 500") with the same three
/// functions; parse throws ValueProblem, also for values out of range. parse(format(x)) must give x.
template <class T>
struct ConfigType;

template <>
struct ConfigType<bool> {
  static std::string type_name() { return "true | false"; }
  static bool parse(const Node& node);
  static Node format(bool value) { return Node::plain(value ? "true" : "false"); }
};

template <>
struct ConfigType<std::int64_t> {
  static std::string type_name() { return "integer"; }
  static std::int64_t parse(const Node& node);
  static Node format(std::int64_t value) { return Node::plain(std::to_string(value)); }
};

template <>
struct ConfigType<double> {
  static std::string type_name() { return "number"; }
  static double parse(const Node& node);
  /// Shortest text that reads back as the same double, also for YAML 1.1 readers ("1.0e-10", ".inf").
  static Node format(double value);
};

template <>
struct ConfigType<std::string> {
  static std::string type_name() { return "text"; }
  static std::string parse(const Node& node);
  static Node format(const std::string& value) { return Node::string(value); }
};

/// Free form: whatever the document holds.
template <>
struct ConfigType<Node> {
  static std::string type_name() { return "any"; }
  static Node parse(const Node& node) { return node; }
  static Node format(const Node& value);
};

/// Which values a key accepts. Bounds and choices hold for every element of a list.
struct Limits {
  struct Bound {
    double value = 0;
    bool open = false;
  };
  std::optional<Bound> lower;
  std::optional<Bound> upper;
  std::vector<std::string> choices;
  std::optional<std::size_t> shortest;
  std::optional<std::size_t> longest;
  bool non_finite = false;

  /// Throws ValueProblem when the value is outside, InternalError for limits that the type does not have.
  /// Local.
  void check(double value) const;
  void check(const std::string& value) const;
  void check_has_none() const;
  void check_length(std::size_t length) const;

  /// "> 0", "0 to 1", "sgd | adam", "2 values, each 0 to 1"; empty when everything is accepted.
  std::string text() const;
};

/// What a key says about itself: a row of `describe` and of the tables in the README.
struct KeyRow {
  std::string path;
  std::string type;
  std::string unit;
  std::string default_text;  ///< "required" where there is none
  std::string range;
  std::string meaning;
  bool scientific = true;
};

/// A Markdown table with a head line, one line per key.
std::string markdown_table(std::span<const KeyRow> rows);

/// True unless every known key at, below or around that path is declared without influence on results.
bool is_scientific(const std::string& path, std::span<const KeyRow> rows);

/// What a reader needs besides the value: where problems go, and which key paths exist at all, for
/// suggestions.
struct Reading {
  Problems problems;
  std::vector<std::string> known_paths;
};

/// True for nothing and for the unquoted word none.
bool says_none(const Node& node);

/// Reports a value that is no list, or one of the wrong length; false when it is no list.
bool check_list(const Node& node, const Limits& limits, const std::string& path, Reading& reading);

/// Everything, or only what decides the results of a run.
enum class Content { all, scientific };

/// The place that a key is bound to, whatever its type.
class Field {
 public:
  virtual ~Field() = default;
  virtual std::string type_name() const = 0;
  virtual void read(const Node& value, const Limits& limits, const std::string& path, Reading& reading) = 0;
  virtual Node format(Content content) const = 0;
  virtual Node normalise(const Node& value, const Limits& limits) const = 0;
  virtual void append_rows(const std::string& path, std::vector<KeyRow>& rows) const = 0;
};

/// One key of a schema. The setters return the key, so that they chain.
class Key {
 public:
  Key(std::string name, std::string meaning, std::unique_ptr<Field> field);
  ~Key();

  Key& unit(std::string unit);
  Key& at_least(double bound);
  Key& at_most(double bound);
  Key& above(double bound);
  Key& below(double bound);
  /// Both ends included.
  Key& range(double lowest, double highest);
  Key& one_of(std::vector<std::string> choices);
  /// Number of elements of a list.
  Key& length(std::size_t length);
  Key& length_at_least(std::size_t length);
  /// Accepts inf and nan, which a number otherwise may not be.
  Key& allow_non_finite();
  /// The key has no influence on results: not in the fingerprint, not in the name of the run directory.
  Key& not_scientific();
  /// The document must give it; there is no default.
  Key& required();

  const std::string& name() const { return name_; }
  const std::string& meaning() const { return meaning_; }
  const std::string& unit() const { return unit_; }
  bool is_scientific() const { return scientific_; }
  bool is_required() const { return required_; }

  /// Sets the field from a value; what is wrong goes to `reading`. Local.
  void read(const Node& value, const std::string& path, Reading& reading) const;
  /// The field's present value.
  Node format(Content content = Content::all) const;
  /// Writes a value as `format` would; the value itself where it cannot be read. The field keeps its own.
  Node normalise(const Node& value) const;
  /// Appends this key and, for a struct, the keys below it.
  void append_rows(const std::string& parent, std::vector<KeyRow>& rows) const;

 private:
  std::string name_;
  std::string meaning_;
  std::string unit_;
  Limits limits_;
  bool scientific_ = true;
  bool required_ = false;
  std::unique_ptr<Field> field_;
  std::string default_text_;
};

/// The keys of one map, bound to fields: the options struct must outlive its schema and stay in its place.
class Schema {
 public:
  /// Declares a key. `T`: bool, int64, double, string, Node, a struct with declare(Schema&), a type with a
  /// ConfigType, or a vector or optional of those. The reference stays valid.
  template <class T>
  Key& add(std::string name, T& field, std::string meaning);

  const std::deque<Key>& keys() const { return keys_; }
  const Key* find(const std::string& name) const;

  /// Reads a map into the fields; a key that it does not give keeps its value. `deeper` names keys of the map
  /// that are read by somebody else. Problems go to `reading`. Local.
  void read(const Node& map, const std::string& path, Reading& reading,
            std::span<const std::string> deeper = {}) const;
  Node format(Content content = Content::all) const;
  void append_rows(const std::string& parent, std::vector<KeyRow>& rows) const;

 private:
  Key& add_key(std::string name, std::string meaning, std::unique_ptr<Field> field);
  std::deque<Key> keys_;
};

/// All sections of a configuration, in the order in which they are first named.
class Schemas {
 public:
  struct Section {
    std::string path;
    Schema schema;
  };

  /// Returns the section of that path ("training", "probes.attribution"; "" holds keys at the root), new if
  /// need be.
  Schema& section(const std::string& path);
  const Schema* find(const std::string& path) const;
  const std::deque<Section>& sections() const { return sections_; }
  std::vector<KeyRow> rows() const;

 private:
  std::deque<Section> sections_;
};

template <class T>
concept DeclaresKeys = requires(T& options, Schema& schema) {
  options.declare(schema);
};

/// Reads and writes values of `T`: a scalar through its ConfigType, the shapes around it here.
template <class T>
struct Codec {
  static std::string type_name() { return ConfigType<T>::type_name(); }
  static Node format(const T& value, Content) { return ConfigType<T>::format(value); }
  static void append_rows(const std::string&, std::vector<KeyRow>&) {}

  static void read(const Node& node, T& field, const Limits& limits, const std::string& path,
                   Reading& reading) {
    try {
      T value = ConfigType<T>::parse(node);
      if constexpr (std::is_same_v<T, std::int64_t>) {
        limits.check(static_cast<double>(value));
      } else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, std::string>) {
        limits.check(value);
      } else {
        limits.check_has_none();
      }
      field = std::move(value);
    } catch (const ValueProblem& problem) {
      reading.problems.add({node.mark, path, problem.what(), problem.why, problem.fix});
    }
  }
};

template <DeclaresKeys T>
struct Codec<T> {
  static std::string type_name() { return "map"; }

  static Node format(const T& value, Content content) {
    T copy = value;
    return schema_of(copy).format(content);
  }
  static void append_rows(const std::string& path, std::vector<KeyRow>& rows) {
    T prototype{};
    schema_of(prototype).append_rows(path, rows);
  }
  static void read(const Node& node, T& field, const Limits&, const std::string& path, Reading& reading) {
    schema_of(field).read(node, path, reading);
  }

 private:
  static Schema schema_of(T& options) {
    Schema schema;
    options.declare(schema);
    return schema;
  }
};

template <class T>
struct Codec<std::vector<T>> {
  static std::string type_name() { return "list of " + Codec<T>::type_name(); }

  static Node format(const std::vector<T>& values, Content content) {
    Node list = Node::list();
    for (const auto& value : values) list.items.push_back(Codec<T>::format(value, content));
    return list;
  }
  static void append_rows(const std::string& path, std::vector<KeyRow>& rows) {
    Codec<T>::append_rows(path + "[]", rows);
  }
  static void read(const Node& node, std::vector<T>& field, const Limits& limits, const std::string& path,
                   Reading& reading) {
    if (!check_list(node, limits, path, reading)) return;
    const auto problems_before = reading.problems.all().size();
    std::vector<T> values;
    for (const auto& item : node.items) {
      T value{};
      Codec<T>::read(item, value, limits, path + "[" + std::to_string(values.size()) + "]", reading);
      values.push_back(std::move(value));
    }
    if (reading.problems.all().size() == problems_before) field = std::move(values);
  }
};

template <class T>
struct Codec<std::optional<T>> {
  static std::string type_name() { return Codec<T>::type_name() + " | none"; }

  static Node format(const std::optional<T>& value, Content content) {
    return value ? Codec<T>::format(*value, content) : Node{};
  }
  static void append_rows(const std::string& path, std::vector<KeyRow>& rows) {
    Codec<T>::append_rows(path, rows);
  }
  static void read(const Node& node, std::optional<T>& field, const Limits& limits, const std::string& path,
                   Reading& reading) {
    const auto problems_before = reading.problems.all().size();
    std::optional<T> value;
    if (!says_none(node)) Codec<T>::read(node, value.emplace(), limits, path, reading);
    if (reading.problems.all().size() == problems_before) field = std::move(value);
  }
};

template <class T>
class FieldOf : public Field {
 public:
  explicit FieldOf(T& field) : field_(field) {}

  std::string type_name() const override { return Codec<T>::type_name(); }
  Node format(Content content) const override { return Codec<T>::format(field_, content); }
  void read(const Node& value, const Limits& limits, const std::string& path, Reading& reading) override {
    Codec<T>::read(value, field_, limits, path, reading);
  }
  Node normalise(const Node& value, const Limits& limits) const override {
    T copy = field_;
    Reading reading;
    Codec<T>::read(value, copy, limits, "", reading);
    return reading.problems.empty() ? Codec<T>::format(copy, Content::all) : value;
  }
  void append_rows(const std::string& path, std::vector<KeyRow>& rows) const override {
    Codec<T>::append_rows(path, rows);
  }

 private:
  T& field_;
};

template <class T>
Key& Schema::add(std::string name, T& field, std::string meaning) {
  return add_key(std::move(name), std::move(meaning), std::make_unique<FieldOf<T>>(field));
}

}  // namespace grokscope
