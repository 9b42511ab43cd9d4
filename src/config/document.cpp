#include "config/document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/schema.hpp"
#include "base/text.hpp"

namespace grokscope {
namespace {

constexpr std::size_t kMostNodes = 100'000;
constexpr std::size_t kDeepest = 100;
constexpr std::uintmax_t kLargestFile = 16'000'000;

std::size_t count_nodes(const Node& node) {
  std::size_t count = 1;
  for (const auto& item : node.items) count += count_nodes(item);
  for (const auto& entry : node.entries) count += count_nodes(entry.value);
  return count;
}

std::size_t depth_of(const Node& node) {
  std::size_t deepest = 0;
  for (const auto& item : node.items) deepest = std::max(deepest, depth_of(item));
  for (const auto& entry : node.entries) deepest = std::max(deepest, depth_of(entry.value));
  return deepest + 1;
}

/// True for unquoted keys that YAML takes for a number or a truth value: readers disagree about their name.
bool is_ambiguous_key(const Node& key) {
  if (key.quoted) return false;
  const auto accepts = [&](auto parse) {
    try {
      parse(key);
      return true;
    } catch (const ValueProblem&) {
      return false;
    }
  };
  return accepts(ConfigType<double>::parse) || accepts(ConfigType<bool>::parse);
}

/// Builds the tree from yaml-cpp's events. Its own tree would lose the marks of keys, and keys given twice.
class TreeBuilder : public YAML::EventHandler {
 public:
  /// `text` must outlive the builder. `origin`: the file, or, with line 0, the one mark for everything.
  TreeBuilder(const std::string& text, Mark origin) : text_(text), origin_(std::move(origin)) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') line_starts_.push_back(i + 1);
    }
  }

  Problems& problems() { return problems_; }
  Node take_root() { return std::move(root_); }

  /// Counts columns in characters; yaml-cpp counts bytes.
  Mark mark_of(const YAML::Mark& mark) const {
    if (origin_.line == 0) return origin_;
    Mark place{origin_.file, mark.line + 1, mark.column + 1};
    const auto start = line_start(mark);
    const auto before = text_.substr(start, offset_of(mark) - start);
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
    place.column -= static_cast<int>(std::count_if(before.begin(), before.end(), continues));
    return place;
  }

  void OnDocumentStart(const YAML::Mark& mark) override { root_.mark = mark_of(mark); }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.mark = mark_of(mark);
    // An empty value is found at the next token, which may be lines away from its key.
    if (const auto* key = pending_key(); key && key->mark.line != node.mark.line) node.mark = key->mark;
    remember(anchor, node);
    place(std::move(node));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node;
    node.kind = Node::Kind::scalar;
    node.scalar = value;
    node.mark = mark_of(mark);
    node.quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!node.quoted) refuse_tag(tag, node.mark);
    refuse_open_quote(mark);
    remember(anchor, node);
    place(std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) {
      fail(mark_of(mark), "the value contains itself", "an alias names an anchor that it lies within",
           "write the value out");
    }
    count_ += count_nodes(known->second);
    check_size(mark_of(mark), open_.size() + depth_of(known->second));
    place(known->second);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::list());
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::map());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override {
    merge(open_.back());
    close();
  }

 private:
  struct Open {
    Node node;
    YAML::anchor_t anchor = 0;
    std::optional<Node> key;   ///< read, still without its value
    std::vector<Node> merged;  ///< values of the merge key <<
    Mark merge_mark;
  };

  std::size_t line_start(const YAML::Mark& mark) const {
    const auto row = static_cast<std::size_t>(std::max(mark.line, 0));
    return row < line_starts_.size() ? line_starts_[row] : text_.size();
  }
  std::size_t offset_of(const YAML::Mark& mark) const {
    return std::min(line_start(mark) + static_cast<std::size_t>(std::max(mark.column, 0)), text_.size());
  }

  [[noreturn]] void fail(const Mark& mark, const std::string& what, const std::string& why,
                         const std::string& fix) {
    problems_.add(mark, what, why, fix);
    problems_.throw_if_any();
    throw InternalError("a problem was not reported");
  }

  const Node* pending_key() const {
    return !open_.empty() && open_.back().key ? &*open_.back().key : nullptr;
  }

  void check_size(const Mark& mark, std::size_t depth) {
    if (depth > kDeepest)
      fail(mark, "nested too deeply", fmt::format("{} levels are accepted", kDeepest), "");
    if (++count_ > kMostNodes) {
      fail(mark, "the document is too large", fmt::format("{} values are accepted", kMostNodes),
           "keep data in data files");
    }
  }

  void refuse_tag(const std::string& tag, const Mark& mark) {
    if (tag.empty() || tag == "?" || tag.starts_with("tag:yaml.org,2002:")) return;
    problems_.add(mark, fmt::format("unknown tag '{}'", tag), "only plain YAML is read", "remove the tag");
  }

  /// yaml-cpp ends an open quote at the end of the file without a word.
  void refuse_open_quote(const YAML::Mark& mark) {
    const auto start = offset_of(mark);
    const char quote = start < text_.size() ? text_[start] : ' ';
    if (quote != '"' && quote != '\'') return;
    for (auto i = start + 1; i < text_.size(); ++i) {
      const bool escapes = quote == '"' ? text_[i] == '\\' : text_.substr(i, 2) == "''";
      if (escapes) {
        ++i;
      } else if (text_[i] == quote) {
        return;
      }
    }
    problems_.add(mark_of(mark), "the quoted text never ends", "", fmt::format("close it with {}", quote));
  }

  void remember(YAML::anchor_t anchor, const Node& node) {
    if (anchor) anchors_[anchor] = node;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node node) {
    node.mark = mark_of(mark);
    refuse_tag(tag, node.mark);
    check_size(node.mark, open_.size());
    open_.push_back({std::move(node), anchor, {}, {}, {}});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    remember(done.anchor, done.node);
    place(std::move(done.node));
  }

  void place(Node node) {
    check_size(node.mark, open_.size());
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& parent = open_.back();
    if (parent.node.is_list()) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      parent.key = std::move(node);
    } else {
      const Node key = std::move(*std::exchange(parent.key, std::nullopt));
      add_entry(parent, key, std::move(node));
    }
  }

  void add_entry(Open& map, const Node& key, Node value) {
    if (key.is_scalar() && !key.quoted && key.scalar == "<<") {
      map.merge_mark = key.mark;
      for (auto& item : value.items) map.merged.push_back(std::move(item));
      if (!value.is_list()) map.merged.push_back(std::move(value));
    } else if (!key.is_scalar() || is_ambiguous_key(key)) {
      problems_.add({key.mark, path(), fmt::format("the key is {}", name_of(key)), "keys are text",
                     key.is_scalar() ? "write it in quotes" : ""});
    } else if (const auto* first = first_mark(map.node, key.scalar)) {
      problems_.add({key.mark, path_of(path(), key.scalar), "the key is given twice",
                     first->line > 0 ? fmt::format("first in line {}", first->line) : "", "remove one"});
    } else {
      map.node.entries.push_back({key.scalar, key.mark, std::move(value)});
    }
  }

  static const Mark* first_mark(const Node& map, const std::string& key) {
    for (const auto& entry : map.entries) {
      if (entry.key == key) return &entry.mark;
    }
    return nullptr;
  }

  /// Adds the keys of << that the map does not give itself; of several maps the first wins.
  void merge(Open& map) {
    for (const auto& source : map.merged) {
      if (!source.is_map()) {
        problems_.add(map.merge_mark, fmt::format("<< holds {}", name_of(source)), "only maps can be merged");
      }
      for (const auto& entry : source.entries) {
        if (!map.node.find(entry.key)) map.node.entries.push_back(entry);
      }
    }
  }

  /// Where the value that is being built will stand: "training.schedule".
  std::string path() const {
    std::string out;
    for (const auto& level : open_) {
      if (level.node.is_list()) out += fmt::format("[{}]", level.node.items.size());
      if (level.key && level.key->is_scalar()) out = path_of(out, level.key->scalar);
    }
    return out;
  }

  std::string_view text_;
  std::vector<std::size_t> line_starts_{0};
  Mark origin_;
  Node root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::size_t count_ = 0;
  Problems problems_;
};

std::string advice_for(const YAML::Mark& mark, const std::string& text) {
  const auto lines = split(text, '\n');
  const auto row = static_cast<std::size_t>(std::max(mark.line, 0));
  if (row < lines.size()) {
    const auto indentation = lines[row].substr(0, lines[row].find_first_not_of(" \t"));
    if (indentation.find('\t') != std::string::npos) return "indent with spaces instead of tabs";
  }
  return "check the indentation, colons, quotes and brackets here and in the line above";
}

/// First byte that is not part of valid UTF-8 text, or npos. A NUL is none either.
std::size_t first_binary_byte(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    if (lead == 0 || length == 0 || i + length > text.size()) return i;
    for (std::size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return i;
    }
    i += length;
  }
  return std::string::npos;
}

void refuse_binary(const std::string& text, Mark origin) {
  const auto at = first_binary_byte(text);
  if (at == std::string::npos) return;
  if (origin.line > 0) {
    const auto lines = split(std::string_view(text).substr(0, at), '\n');
    origin.line = static_cast<int>(lines.size());
    origin.column = static_cast<int>(lines.back().size()) + 1;
  }
  throw UserError(
      fmt::format("{}: the byte 0x{:02x} is not text (a configuration is YAML in UTF-8), "
                  "give a .yaml file, or save it as UTF-8",
                  origin.text(), static_cast<unsigned char>(text[at])));
}

struct Parsed {
  Node root;
  bool empty = true;
};

Parsed parse(const std::string& text, const Mark& origin) {
  refuse_binary(text, origin);
  const std::string body = text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text;
  std::istringstream in(body);
  TreeBuilder builder(body, origin);
  Parsed parsed;
  try {
    YAML::Parser parser(in);
    parsed.empty = !parser.HandleNextDocument(builder);
    parsed.root = builder.take_root();
    if (parser.HandleNextDocument(builder)) {
      builder.problems().add(builder.take_root().mark, "a second document begins",
                             "one file is one configuration", "split the file at ---");
    }
  } catch (const YAML::Exception& error) {
    // What was found before may come from the same slip, so this is told alone.
    const Problem problem{builder.mark_of(error.mark), "", "not valid YAML", error.msg,
                          advice_for(error.mark, body)};
    throw UserError(problem.text());
  }
  builder.problems().throw_if_any();
  return parsed;
}

/// "did you mean configs/09_levi_linear.yaml?" for a file that does not exist.
std::string nearest_file(const std::filesystem::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    return fmt::format("the folder '{}' does not exist either", folder.string());
  }
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const auto extension = entry.path().extension();
    if (extension == ".yaml" || extension == ".yml") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  auto name = path.filename();
  if (name.extension() != ".yaml" && name.extension() != ".yml") name += ".yaml";
  const auto near = nearest_word(name.string(), names);
  if (near.empty()) return fmt::format("the folder has {} .yaml files, none of a similar name", names.size());
  return fmt::format("did you mean {}?", (path.parent_path() / near).string());
}

std::string read_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw UserError(fmt::format("{}: no such file, {}", path.string(), nearest_file(path)));
  }
  if (!std::filesystem::is_regular_file(status)) {
    const bool folder = std::filesystem::is_directory(status);
    throw UserError(fmt::format("{}: is {} (a configuration is one YAML file), give the file itself",
                                path.string(), folder ? "a directory" : "not a regular file"));
  }
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > kLargestFile) {
    throw UserError(fmt::format("{}: holds {} (a configuration has at most {}), was a data file meant?",
                                path.string(), format_bytes(static_cast<double>(size)),
                                format_bytes(static_cast<double>(kLargestFile))));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw EnvironmentError(fmt::format("{}: cannot be opened, check its permissions", path.string()));
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

Node load_document(const std::filesystem::path& path) {
  return parse_document(read_file(path), path.string());
}

Node parse_document(const std::string& text, const std::string& file) {
  auto [root, empty] = parse(text, {file, 1, 1});
  if (empty || root.is_null()) {
    throw UserError(
        fmt::format("{}: the file is empty (it must say at least which experiment to run), "
                    "start from a file in configs/",
                    file));
  }
  if (!root.is_map()) {
    throw UserError(
        fmt::format("{}: the top level is {} (it must be a map of sections such as training:), "
                    "write 'section:' and its keys indented below",
                    root.mark.text(), name_of(root)));
  }
  return std::move(root);
}

Node parse_value(const std::string& text, const std::string& origin) {
  Node value = parse(text, {origin, 0, 0}).root;
  value.mark = {origin, 0, 0};
  return value;
}

}  // namespace grokscope
