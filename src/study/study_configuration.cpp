#include "study/study_configuration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/text.hpp"
#include "config/assign.hpp"
#include "config/document.hpp"
#include "config/override.hpp"
#include "io/durable_file.hpp"

namespace grokscope {
namespace {

constexpr std::string_view kNameLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+-,";

/// Keys of a study's file that are the study's own; all others belong to its members.
bool is_of_study(const std::string& path) {
  return lies_within(path, "study") || lies_within(path, "expected") || path == "storage.output_dir";
}

/// The study's own part of a document, and the part that every member shares.
std::pair<Node, Node> divided(const Node& root) {
  Node own = Node::map(), shared = Node::map();
  own.mark = shared.mark = root.mark;
  for (const auto& entry : root.entries) {
    (is_of_study(entry.key) ? own : shared).entries.push_back(entry);
  }
  if (auto* storage = shared.find("storage"); storage != nullptr && storage->is_map()) {
    if (const auto* output_dir = storage->find("output_dir"))
      own.set("storage", Node::map()).set("output_dir", *output_dir);
    std::erase_if(storage->entries, [](const Node::Entry& entry) { return entry.key == "output_dir"; });
  }
  return {std::move(own), std::move(shared)};
}

/// Lays the keys of `above` over those of `below`, section by section; values that are no maps are replaced.
void merge(Node& below, const Node& above) {
  for (const auto& entry : above.entries) {
    Node* known = below.find(entry.key);
    if (known != nullptr && known->is_map() && entry.value.is_map()) {
      merge(*known, entry.value);
    } else {
      const auto mark = entry.mark;
      below.set(entry.key, entry.value);
      std::find_if(below.entries.begin(), below.entries.end(), [&](const auto& e) {
        return e.key == entry.key;
      })->mark = mark;
    }
  }
}

/// One value of one grid axis.
struct GridValue {
  Assignment assignment;
  std::string label;  ///< "weight_decay=0"
};
using GridPoint = std::vector<GridValue>;

/// Where a member stands in the file, and what it says about its order.
struct Origin {
  std::string key;  ///< "study.members[2]", or "study" for one that is not named
  std::optional<std::string> after;
};

/// Has a run commit the epochs that another one starts from.
void keep_checkpoints(RunConfiguration& source, const StartOptions& start) {
  std::vector<CheckpointChoice> choices{start.epoch};
  if (start.mask) choices.push_back(start.mask->epoch);
  for (const auto& choice : choices) {
    if (choice.kind == CheckpointChoice::Kind::epoch && choice.epoch > 0) {
      source.limits.checkpoint_epochs.push_back(choice.epoch);
    }
    if (choice.kind == CheckpointChoice::Kind::t_gen) {
      source.storage.keep_around_t_gen = std::max<std::int64_t>(1, source.storage.keep_around_t_gen);
    }
  }
}

/// Everything that load_study builds up.
class Reader {
 public:
  Reader(const std::filesystem::path& file, std::span<const std::string> overrides, Experiments experiments)
      : file_(file), experiments_(experiments), study_(std::make_unique<StudyConfiguration>()) {
    study_->options.declare(study_->schemas);
    root_ = load_document(file);
    for (const auto& text : overrides) {
      auto assignment = parse_override(text);
      (is_of_study(assignment.path) ? own_overrides_ : shared_overrides_).push_back(text);
      if (is_of_study(assignment.path)) set_key(root_, assignment);
    }
  }

  std::unique_ptr<StudyConfiguration> read();

 private:
  StudyOptions& options() { return study_->options; }
  void read_base();
  std::vector<GridPoint> grid_points();
  std::vector<GridValue> grid_axis(const Node::Entry& axis);
  void expand();
  void add_member(const MemberOptions& options, const std::string& key, const GridPoint& point,
                  std::optional<std::int64_t> seed);
  std::vector<Assignment> assignments(const Node& overrides, const std::string& key);
  void load_member(StudyMember& member, const std::vector<Assignment>& own);
  void check_names();
  void resolve_order();
  std::optional<std::size_t> sibling(const StudyMember& self, const std::string& name) const;
  void depend(std::size_t index, const std::string& name, const std::string& key);
  void check_cycles();
  void check_differences();
  std::string suffix() const;

  std::filesystem::path file_;
  Experiments experiments_;
  std::unique_ptr<StudyConfiguration> study_;
  std::vector<std::string> own_overrides_, shared_overrides_;
  Node root_, base_;
  Problems problems_;
  std::vector<Origin> origins_;  ///< of the members, in their order
};

std::unique_ptr<StudyConfiguration> Reader::read() {
  const auto [own, shared] = divided(root_);
  assign(own, study_->schemas);
  problems_ = Problems(root_);
  read_base();
  merge(base_, shared);
  expand();
  check_names();
  resolve_order();
  check_cycles();
  check_differences();
  check_expectations(
      options().expected, [&](const auto& quantity) { return study_->places(quantity); }, problems_);
  problems_.throw_if_any();
  const auto& wanted = options().output_dir;
  study_->run_directory =
      wanted == "auto" ? default_directory(file_, suffix()) : std::filesystem::path(wanted);
  for (auto& member : study_->members) {
    auto& c = *member.configuration;
    c.run_directory = study_->run_directory / "members" / member.name;
    if (const auto& start = c.training.init_from; start && start->run.starts_with("member:")) {
      const auto source = sibling(member, start->run.substr(7));
      c.init_run = study_->run_directory / "members" / study_->members[*source].name;
      keep_checkpoints(*study_->members[*source].configuration, *start);
    }
  }
  study_->input_text = read_text(file_);
  return std::move(study_);
}

void Reader::read_base() {
  base_ = Node::map();
  base_.mark = root_.mark;
  if (!options().base) return;
  const auto path = file_.parent_path() / *options().base;
  if (!std::filesystem::is_regular_file(path)) {
    problems_.add("study.base", fmt::format("'{}' is not a file", *options().base),
                  fmt::format("looked for {}", path.string()), "give its path relative to this file");
    problems_.throw_if_any();
  }
  auto [own, shared] = divided(load_document(path));
  if (own.find("study") != nullptr) {
    problems_.add("study.base", fmt::format("'{}' is a study", *options().base), "members are single runs",
                  "");
    problems_.throw_if_any();
  }
  base_ = std::move(shared);  // its claims are about its own settings, not about every member's
}

std::vector<GridValue> Reader::grid_axis(const Node::Entry& axis) {
  if (!axis.value.is_list() || axis.value.items.empty()) {
    problems_.add({axis.mark, "study.grid." + axis.key,
                   "expected a list of values, got " + name_of(axis.value), "",
                   "write training.weight_decay: [0, 1]"});
    return {};
  }
  const auto last = [](const std::string& path) { return path.substr(path.rfind('.') + 1); };
  const auto& axes = options().grid.entries;
  const auto bearers =
      std::count_if(axes.begin(), axes.end(), [&](const auto& a) { return last(a.key) == last(axis.key); });
  std::vector<GridValue> values;
  for (const auto& item : axis.value.items) {
    const auto text = item.is_scalar() ? item.scalar : to_line(item);
    values.push_back({{axis.key, item},
                      fmt::format("{}={}", bearers > 1 ? axis.key : last(axis.key), file_name_part(text))});
  }
  return values;
}

std::vector<GridPoint> Reader::grid_points() {
  std::vector<GridPoint> points{{}};
  if (!options().grid.is_map() && !options().grid.is_null()) {
    problems_.add("study.grid", "expected a map of key paths to lists, got " + name_of(options().grid));
    return points;
  }
  for (const auto& axis : options().grid.entries) {
    std::vector<GridPoint> longer;
    const auto values = grid_axis(axis);
    for (const auto& point : points) {
      for (const auto& value : values) {
        longer.push_back(point);
        longer.back().push_back(value);
      }
    }
    if (!values.empty()) points = std::move(longer);
  }
  return points;
}

void Reader::expand() {
  const auto points = grid_points();
  if (options().members.empty() && options().seeds.empty() && options().grid.entries.empty()) {
    problems_.add("study", "there is nothing to run", "neither members nor grid nor seeds are given",
                  "give one of them");
    problems_.throw_if_any();
  }
  std::vector<std::optional<std::int64_t>> seeds(options().seeds.begin(), options().seeds.end());
  if (seeds.empty()) seeds.emplace_back();
  const auto add_all = [&](const MemberOptions& member, const std::string& key) {
    for (const auto& point : points) {
      for (const auto& seed : seeds) add_member(member, key, point, seed);
    }
  };
  const auto& members = options().members;
  for (std::size_t i = 0; i < members.size(); ++i) add_all(members[i], fmt::format("study.members[{}]", i));
  if (members.empty()) add_all({}, "study");
}

void Reader::add_member(const MemberOptions& options, const std::string& key, const GridPoint& point,
                        std::optional<std::int64_t> seed) {
  StudyMember member;
  std::vector<std::string> labels;
  for (const auto& value : point) labels.push_back(value.label);
  member.label = options.name;
  if (!options.name.empty()) labels.insert(labels.begin(), options.name);
  member.group = join(labels, ",");
  if (seed) labels.push_back(fmt::format("seed={}", *seed));
  member.name = join(labels, ",");
  auto own = assignments(options.overrides, key + ".overrides");
  for (const auto& value : point) own.push_back(value.assignment);
  if (seed) own.push_back(parse_override(fmt::format("training.seed={}", *seed)));
  for (const auto& assignment : own)
    member.overrides.emplace_back(assignment.path, to_line(assignment.value));
  origins_.push_back({key, options.after});
  load_member(member, own);
  study_->members.push_back(std::move(member));
}

std::vector<Assignment> Reader::assignments(const Node& overrides, const std::string& key) {
  std::vector<Assignment> result;
  for (const auto& item : overrides.items) {
    try {
      result.push_back(parse_override(ConfigType<std::string>::parse(item), item.mark));
    } catch (const ConfigurationError& error) {
      problems_.add_new(error.problems());
    } catch (const ValueProblem& problem) {
      const Problem problems[] = {{item.mark, key, problem.what(), "", "write key.path=value"}};
      problems_.add_new(problems);
    }
  }
  for (const auto& entry : overrides.entries) {
    // A section given as a map sets those keys of it, not the section as a whole.
    const bool is_section = entry.value.is_map() && entry.key.find('.') == std::string::npos;
    if (!is_section) result.push_back({entry.key, entry.value});
    for (const auto& below : is_section ? entry.value.entries : std::vector<Node::Entry>{}) {
      result.push_back({path_of(entry.key, below.key), below.value});
    }
  }
  if (overrides.is_scalar()) problems_.add(key, "expected a list or a map, got " + name_of(overrides));
  return result;
}

void Reader::load_member(StudyMember& member, const std::vector<Assignment>& own) {
  try {
    Node document = base_;
    for (const auto& assignment : own) set_key(document, assignment);
    for (const auto& text : shared_overrides_) apply_override(document, text);
    member.configuration = configuration_of(document, file_, experiments_);
    auto& c = *member.configuration;
    member.seed = c.training.seed;
    c.input_text = fmt::format("# member {} of a study\n", member.name) + resolved_yaml(c.schemas);
  } catch (const ConfigurationError& error) {
    problems_.add_new(error.problems());
  } catch (const UserError& error) {
    const Problem problems[] = {{root_.mark, "", error.what(), "", ""}};
    problems_.add_new(problems);
  }
}

void Reader::check_names() {
  std::map<std::string, std::string> first;  ///< where each name was given
  std::set<std::string> told;
  for (std::size_t i = 0; i < study_->members.size(); ++i) {
    const auto& [name, key] = std::pair(study_->members[i].name, origins_[i].key);
    const bool is_safe = !name.empty() && name.find_first_not_of(kNameLetters) == std::string::npos &&
                         name[0] != '.' && name[0] != '-';
    if (!is_safe && told.insert(key).second) {
      problems_.add(key, fmt::format("'{}' cannot name a folder", name),
                    "letters, digits and . _ = + - , can", "");
    }
    if (!first.emplace(name, key).second && told.insert(key).second) {
      problems_.add(key, fmt::format("a second member is called '{}'", name), "each has a folder of its own",
                    "rename it, or remove what is said twice");
    }
  }
}

/// The member of that name or, where members have grid points and seeds, the one of that label at the same
/// point and seed.
std::optional<std::size_t> Reader::sibling(const StudyMember& self, const std::string& name) const {
  const auto beside = name + self.name.substr(self.label.size());
  for (const auto& wanted : {name, beside}) {
    for (std::size_t i = 0; i < study_->members.size(); ++i) {
      if (study_->members[i].name == wanted) return i;
    }
  }
  return std::nullopt;
}

void Reader::depend(std::size_t index, const std::string& name, const std::string& what) {
  auto& self = study_->members[index];
  if (const auto other = sibling(self, name)) {
    self.after.push_back(*other);
    return;
  }
  std::vector<std::string> names;
  for (const auto& member : study_->members)
    names.push_back(member.label.empty() ? member.name : member.label);
  const auto near = nearest_word(name, names);
  const auto* node = find_path(root_, what);
  const Problem problems[] = {{node ? node->mark : root_.mark, what,
                               fmt::format("'{}' is not a member of this study", name), "",
                               near.empty() ? "" : fmt::format("did you mean {}?", near)}};
  problems_.add_new(problems);
}

void Reader::resolve_order() {
  for (std::size_t i = 0; i < study_->members.size(); ++i) {
    if (const auto& after = origins_[i].after) depend(i, *after, origins_[i].key + ".after");
    const auto& c = study_->members[i].configuration;
    if (!c || !c->training.init_from || !c->training.init_from->run.starts_with("member:")) continue;
    depend(i, c->training.init_from->run.substr(7), origins_[i].key + ".overrides");
  }
}

void Reader::check_cycles() {
  enum class Visit { not_yet, on_the_way, done };
  const auto& members = study_->members;
  std::vector<Visit> visits(members.size(), Visit::not_yet);
  std::set<std::string> told;
  const std::function<void(std::size_t)> visit = [&](std::size_t i) {
    visits[i] = Visit::on_the_way;
    for (const auto other : members[i].after) {
      if (visits[other] == Visit::not_yet) visit(other);
      if (visits[other] != Visit::on_the_way || !told.insert(origins_[i].key).second) continue;
      problems_.add(
          origins_[i].key + ".after",
          fmt::format("'{}' waits for '{}', which waits for it", members[i].name, members[other].name),
          "neither could ever start", "remove one of them");
    }
    visits[i] = Visit::done;
  };
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (visits[i] == Visit::not_yet) visit(i);
  }
}

void Reader::check_differences() {
  std::map<std::string, const StudyMember*> known;
  for (std::size_t i = 0; i < study_->members.size(); ++i) {
    const auto& member = study_->members[i];
    if (!member.configuration) continue;
    const auto [other, is_new] = known.emplace(member.configuration->fingerprint, &member);
    if (is_new || other->second->name == member.name) continue;
    problems_.add(origins_[i].key,
                  fmt::format("'{}' is the same run as '{}'", member.name, other->second->name),
                  "they differ in nothing that has an influence on results", "remove one of them");
  }
}

std::string Reader::suffix() const {
  // Members differ in values, not in keys: any of them knows what an override means.
  return overrides_suffix(shared_overrides_, study_->members.front().configuration->schemas) +
         overrides_suffix(own_overrides_, study_->schemas);
}

}  // namespace

void MemberOptions::declare(Schema& s) {
  s.add("name", name, "its folder below RUN/members/").required();
  s.add("overrides", overrides, "what it changes: a list of key.path=value, or a map");
  s.add("after", after, "the member that must be done before it starts: of the same seed and grid point")
      .not_scientific();
}

void StudyOptions::declare(Schemas& schemas) {
  auto& s = schemas.section("study");
  s.add("base", base,
        "configuration that all members start from, relative to this file; none: the other sections here");
  s.add("members", members, "the runs, in the order in which they start");
  s.add("grid", grid, "key paths with lists of values: a member for every combination");
  s.add("seeds", seeds, "every member is run with each of these values of training.seed").at_least(0);
  s.add("ranks_per_member", ranks_per_member,
        "ranks of each run, so that several run at a time; none: all on one")
      .at_least(1)
      .not_scientific();
  schemas.section("storage")
      .add("output_dir", output_dir,
           "the study's directory; auto: results/ and the file's path below "
           "configs/")
      .not_scientific();
  schemas.section("")
      .add("expected", expected, "claims that the end of the study is compared with")
      .not_scientific();
}

std::vector<Place> StudyConfiguration::places(const std::string& quantity) const {
  constexpr std::string_view prefix = "members/";
  const auto slash = quantity.find('/', prefix.size());
  if (!quantity.starts_with(prefix) || slash == std::string::npos) return {};
  const auto name = quantity.substr(prefix.size(), slash - prefix.size());
  std::vector<Place> found;
  for (const auto& member : members) {
    if (name != "*" && member.name != name && member.group != name) continue;
    found.push_back({run_directory / "members" / member.name / "metrics.h5", quantity.substr(slash + 1),
                     member.name, member.seed});
  }
  return found;
}

bool is_study(const std::filesystem::path& file) {
  return load_document(file).find("study") != nullptr;
}

std::unique_ptr<StudyConfiguration> load_study(const std::filesystem::path& file,
                                               std::span<const std::string> overrides,
                                               Experiments experiments) {
  return Reader(file, overrides, experiments).read();
}

int ranks_per_member(const StudyConfiguration& study, int ranks) {
  const auto wanted = study.options.ranks_per_member.value_or(ranks);
  if (wanted <= ranks) return static_cast<int>(wanted);
  throw UserError(
      fmt::format("study.ranks_per_member: {} is more than the {} rank(s) of this job (not one member could "
                  "run), start more ranks or lower it",
                  wanted, ranks));
}

}  // namespace grokscope
