#include "base/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <tuple>

#include "base/text.hpp"

namespace grokscope {
namespace {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

/// Reads the whole text as a number, or nothing; also the spellings of YAML for inf and nan.
std::optional<double> parse_number(const std::string& text) {
  std::string rest = lower_case(text);
  double sign = 1;
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) {
    sign = rest[0] == '-' ? -1 : 1;
    rest.erase(0, 1);
  }
  if (rest == "inf" || rest == ".inf" || rest == "infinity")
    return sign * std::numeric_limits<double>::infinity();
  if (rest == "nan" || rest == ".nan") return std::numeric_limits<double>::quiet_NaN();
  if (rest.empty() || !(std::isdigit(static_cast<unsigned char>(rest[0])) || rest[0] == '.')) return {};
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (end != rest.data() + rest.size() || error == std::errc::invalid_argument) return {};
  if (error == std::errc::result_out_of_range) {
    throw ValueProblem(fmt::format("'{}' is not a number that can be held", text),
                       "a double reaches from about 5e-324 to 1.8e308");
  }
  return sign * value;
}

[[noreturn]] void refuse(const std::string& expected, const Node& node) {
  const bool needless_quotes = node.is_scalar() && node.quoted && parse_number(node.scalar);
  throw ValueProblem(fmt::format("expected {}, got {}", expected, name_of(node)), "",
                     needless_quotes ? "remove the quotes" : "");
}

std::string bound_text(const Limits& limits) {
  const auto& [lower, upper] = std::tie(limits.lower, limits.upper);
  const auto side = [](const char* sign, const Limits::Bound& bound) {
    return fmt::format("{}{} {}", sign, bound.open ? "" : "=", bound.value);
  };
  if (lower && upper && !lower->open && !upper->open)
    return fmt::format("{} to {}", lower->value, upper->value);
  std::vector<std::string> words;
  if (lower) words.push_back(side(">", *lower));
  if (upper) words.push_back(side("<", *upper));
  return join(words, " and ");
}

std::string length_text(const Limits& limits) {
  const auto values = [](std::size_t n) { return fmt::format("{} value{}", n, n == 1 ? "" : "s"); };
  if (!limits.shortest) return "";
  return limits.longest ? values(*limits.shortest) : "at least " + values(*limits.shortest);
}

/// Names of keys that may have been meant: near ones in this map, the same one elsewhere, near ones
/// elsewhere.
std::string suggest(const std::string& key, const std::string& map_path, std::span<const std::string> here,
                    const std::vector<std::string>& known_paths) {
  std::vector<std::string> found;
  if (const auto near = nearest_word(key, here); !near.empty()) found.push_back(path_of(map_path, near));
  std::vector<std::string> leaves;
  for (const auto& path : known_paths) {
    leaves.push_back(path.substr(path.rfind('.') + 1));
    if (leaves.back() == key && path_of(map_path, key) != path) found.push_back(path);
  }
  if (found.empty()) {
    const auto near = nearest_word(key, leaves);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      if (!near.empty() && leaves[i] == near) found.push_back(known_paths[i]);
    }
  }
  if (found.size() > 3) found.resize(3);
  return found.empty() ? "" : fmt::format("did you mean {}?", join(found, " or "));
}

/// A Markdown cell: a bar would end it.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? "\\|" : std::string(1, c);
  return out;
}

std::string code_cell(const std::string& text) {
  return text.empty() ? "" : "`" + cell(text) + "`";
}

}  // namespace

std::string Problem::text() const {
  std::string out = mark.text() + ": ";
  if (!key_path.empty()) out += key_path + ": ";
  out += what;
  if (!why.empty()) out += " (" + why + ")";
  if (!fix.empty()) out += ", " + fix;
  return out;
}

void Problems::add(const std::string& key_path, const std::string& what, const std::string& why,
                   const std::string& fix) {
  const Node* value = find_path(document_, key_path);
  add(Problem{value ? value->mark : Mark{}, key_path, what, why, fix});
}

void Problems::add_new(std::span<const Problem> problems) {
  for (const auto& problem : problems) {
    const auto same = [&](const Problem& known) { return known.text() == problem.text(); };
    if (std::none_of(problems_.begin(), problems_.end(), same)) problems_.push_back(problem);
  }
}

void Problems::throw_if_any() const {
  if (problems_.empty()) return;
  auto ordered = problems_;
  const auto place = [](const Problem& p) {
    const bool elsewhere = p.mark.line == 0;
    return std::tuple(elsewhere, elsewhere ? std::string() : p.mark.file, p.mark.line, p.mark.column);
  };
  std::stable_sort(ordered.begin(), ordered.end(),
                   [&](const Problem& a, const Problem& b) { return place(a) < place(b); });
  std::vector<std::string> lines;
  if (ordered.size() > 1) lines.push_back(fmt::format("{} problems in the configuration:", ordered.size()));
  for (const auto& problem : ordered) lines.push_back(problem.text());
  throw ConfigurationError(join(lines, "\n"), ordered);
}

std::string name_of(const Node& node) {
  constexpr std::size_t longest = 60;
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
    case Node::Kind::scalar:
      break;
  }
  const auto text = node.scalar.size() > longest ? node.scalar.substr(0, longest) + "..." : node.scalar;
  return fmt::format("{}'{}'", node.quoted ? "the text " : "", text);
}

bool ConfigType<bool>::parse(const Node& node) {
  const auto word = node.is_scalar() && !node.quoted ? lower_case(node.scalar) : "";
  if (word == "true" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "no" || word == "off") return false;
  refuse("true or false", node);
}

std::int64_t ConfigType<std::int64_t>::parse(const Node& node) {
  if (!node.is_scalar() || node.quoted) refuse("an integer", node);
  const std::string digits = node.scalar.substr(node.scalar.starts_with('+') ? 1 : 0);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = end == digits.data() + digits.size();
  if (whole && error == std::errc() && node.scalar.find("+-") == std::string::npos) return value;
  const auto number = parse_number(node.scalar);
  if (!number || *number != std::floor(*number) || std::isinf(*number)) refuse("an integer", node);
  // Written as 1e4 or 100.0: beyond 2^53 such a text need not name one integer.
  if (whole || std::abs(*number) > 9007199254740992.0) {
    throw ValueProblem(fmt::format("{} is too large", name_of(node)), "integers have 64 bits",
                       whole ? "" : "write all of its digits");
  }
  return static_cast<std::int64_t>(*number);
}

double ConfigType<double>::parse(const Node& node) {
  if (!node.is_scalar() || node.quoted) refuse("a number", node);
  const auto value = parse_number(node.scalar);
  if (!value) refuse("a number", node);
  return *value;
}

Node ConfigType<double>::format(double value) {
  if (std::isnan(value)) return Node::plain(".nan");
  if (std::isinf(value)) return Node::plain(value > 0 ? ".inf" : "-.inf");
  auto text = fmt::format("{}", value);
  if (text.find('.') == std::string::npos) text.insert(std::min(text.find('e'), text.size()), ".0");
  return Node::plain(text);
}

std::string ConfigType<std::string>::parse(const Node& node) {
  if (node.is_null()) throw ValueProblem("expected text, got nothing", "", "write '' for an empty text");
  if (!node.is_scalar()) refuse("text", node);
  return node.scalar;
}

Node ConfigType<Node>::format(const Node& value) {
  Node out = value;
  out.mark = {};
  if (value.is_scalar()) out = value.quoted ? Node::string(value.scalar) : Node::plain(value.scalar);
  for (auto& item : out.items) item = format(item);
  for (auto& entry : out.entries) {
    entry.mark = {};
    entry.value = format(entry.value);
  }
  return out;
}

void Limits::check(double value) const {
  require(choices.empty(), "choices are for text");
  if (!std::isfinite(value) && !non_finite) {
    throw ValueProblem(fmt::format("{} is not accepted", value), "must be finite");
  }
  const bool low = lower && (lower->open ? value <= lower->value : value < lower->value);
  const bool high = upper && (upper->open ? value >= upper->value : value > upper->value);
  if (low || high)
    throw ValueProblem(fmt::format("{} is out of range", value), "must be " + bound_text(*this));
}

void Limits::check(const std::string& value) const {
  require(!lower && !upper, "bounds are for numbers");
  if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  const auto near = nearest_word(value, choices);
  throw ValueProblem(fmt::format("unknown choice '{}'", value), "must be one of " + join(choices, ", "),
                     near.empty() ? "" : fmt::format("did you mean {}?", near));
}

void Limits::check_has_none() const {
  require(!lower && !upper && choices.empty(),
          "limits are for numbers and text, other types check themselves");
}

void Limits::check_length(std::size_t length) const {
  if ((!shortest || length >= *shortest) && (!longest || length <= *longest)) return;
  throw ValueProblem(fmt::format("the list has {} value{}", length, length == 1 ? "" : "s"),
                     "must have " + length_text(*this));
}

std::string Limits::text() const {
  auto each = choices.empty() ? bound_text(*this) : join(choices, " | ");
  const auto count = length_text(*this);
  if (count.empty() || each.empty()) return count + each;
  return fmt::format("{}, each {}", count, each);
}

std::string markdown_table(std::span<const KeyRow> rows) {
  std::string out = "| key | type | unit | default | range | meaning |\n|---|---|---|---|---|---|\n";
  for (const auto& row : rows) {
    out +=
        fmt::format("| {} | {} | {} | {} | {} | {} |\n", code_cell(row.path), cell(row.type), cell(row.unit),
                    row.default_text == "required" ? row.default_text : code_cell(row.default_text),
                    cell(row.range), cell(row.meaning));
  }
  return out;
}

bool is_scientific(const std::string& path, std::span<const KeyRow> rows) {
  const KeyRow* around = nullptr;
  for (const auto& row : rows) {
    if (lies_within(row.path, path) && row.scientific) return true;
    if (lies_within(path, row.path) && (!around || row.path.size() > around->path.size())) around = &row;
  }
  return !around || around->scientific;
}

bool says_none(const Node& node) {
  return node.is_null() || (node.is_scalar() && !node.quoted && lower_case(node.scalar) == "none");
}

bool check_list(const Node& node, const Limits& limits, const std::string& path, Reading& reading) {
  try {
    if (!node.is_list()) {
      throw ValueProblem("expected a list, got " + name_of(node), "",
                         node.is_scalar() ? fmt::format("write [{}]", to_line(node)) : "");
    }
    limits.check_length(node.items.size());
  } catch (const ValueProblem& problem) {
    reading.problems.add({node.mark, path, problem.what(), problem.why, problem.fix});
  }
  return node.is_list();
}

Key::Key(std::string name, std::string meaning, std::unique_ptr<Field> field)
    : name_(std::move(name)), meaning_(std::move(meaning)), field_(std::move(field)) {
  const Node value = format();
  const bool told_by_its_keys = value.is_map() && !value.entries.empty();
  default_text_ = told_by_its_keys ? "" : value.is_null() ? "none" : to_line(value);
}

Key::~Key() = default;

Key& Key::unit(std::string unit) {
  unit_ = std::move(unit);
  return *this;
}

Key& Key::at_least(double bound) {
  limits_.lower = {bound, false};
  return *this;
}

Key& Key::at_most(double bound) {
  limits_.upper = {bound, false};
  return *this;
}

Key& Key::above(double bound) {
  limits_.lower = {bound, true};
  return *this;
}

Key& Key::below(double bound) {
  limits_.upper = {bound, true};
  return *this;
}

Key& Key::range(double lowest, double highest) {
  return at_least(lowest).at_most(highest);
}

Key& Key::one_of(std::vector<std::string> choices) {
  limits_.choices = std::move(choices);
  return *this;
}

Key& Key::length(std::size_t length) {
  limits_.shortest = limits_.longest = length;
  return *this;
}

Key& Key::length_at_least(std::size_t length) {
  limits_.shortest = length;
  return *this;
}

Key& Key::allow_non_finite() {
  limits_.non_finite = true;
  return *this;
}

Key& Key::not_scientific() {
  scientific_ = false;
  return *this;
}

Key& Key::required() {
  required_ = true;
  default_text_ = "required";
  return *this;
}

void Key::read(const Node& value, const std::string& path, Reading& reading) const {
  field_->read(value, limits_, path, reading);
}

Node Key::format(Content content) const {
  return field_->format(content);
}

Node Key::normalise(const Node& value) const {
  return field_->normalise(value, limits_);
}

void Key::append_rows(const std::string& parent, std::vector<KeyRow>& rows) const {
  const auto path = path_of(parent, name_);
  const auto first = rows.size();
  rows.push_back({path, field_->type_name(), unit_, default_text_, limits_.text(), meaning_, scientific_});
  field_->append_rows(path, rows);
  for (std::size_t i = first; i < rows.size(); ++i) rows[i].scientific = rows[i].scientific && scientific_;
}

const Key* Schema::find(const std::string& name) const {
  const auto key = std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.name() == name; });
  return key == keys_.end() ? nullptr : &*key;
}

void Schema::read(const Node& map, const std::string& path, Reading& reading,
                  std::span<const std::string> deeper) const {
  if (!map.is_map() && !map.is_null()) {
    reading.problems.add({map.mark, path, "expected a map of keys, got " + name_of(map), "", ""});
    return;
  }
  std::vector<std::string> names(deeper.begin(), deeper.end());
  for (const auto& key : keys_) {
    names.push_back(key.name());
    if (const Node* value = map.find(key.name())) {
      key.read(*value, path_of(path, key.name()), reading);
    } else if (key.is_required()) {
      reading.problems.add({map.mark, path_of(path, key.name()), "is missing", "it has no default", ""});
    }
  }
  for (const auto& entry : map.entries) {
    if (std::find(names.begin(), names.end(), entry.key) != names.end()) continue;
    const auto* what = path.empty() && !entry.value.is_scalar() ? "unknown section" : "unknown key";
    reading.problems.add({entry.mark, path_of(path, entry.key), what, "",
                          suggest(entry.key, path, names, reading.known_paths)});
  }
}

Node Schema::format(Content content) const {
  Node map = Node::map();
  for (const auto& key : keys_) {
    if (content == Content::all || key.is_scientific()) map.set(key.name(), key.format(content));
  }
  return map;
}

void Schema::append_rows(const std::string& parent, std::vector<KeyRow>& rows) const {
  for (const auto& key : keys_) key.append_rows(parent, rows);
}

Key& Schema::add_key(std::string name, std::string meaning, std::unique_ptr<Field> field) {
  if (find(name)) throw InternalError(fmt::format("the key '{}' is declared twice", name));
  return keys_.emplace_back(std::move(name), std::move(meaning), std::move(field));
}

Schema& Schemas::section(const std::string& path) {
  for (auto& section : sections_) {
    if (section.path == path) return section.schema;
  }
  return sections_.emplace_back(Section{path, Schema{}}).schema;
}

const Schema* Schemas::find(const std::string& path) const {
  for (const auto& section : sections_) {
    if (section.path == path) return &section.schema;
  }
  return nullptr;
}

std::vector<KeyRow> Schemas::rows() const {
  std::vector<KeyRow> rows;
  for (const auto& section : sections_) section.schema.append_rows(section.path, rows);
  return rows;
}

}  // namespace grokscope
