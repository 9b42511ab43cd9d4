#include "run/expected.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "base/record.hpp"
#include "base/text.hpp"
#include "gop/quantities.hpp"
#include "io/hdf5.hpp"

namespace grokscope {
namespace {

std::vector<double> numbers(const NamedArray& array) {
  std::vector<double> result;
  if (array.dtype == DType::int64) {
    for (const auto v : array.values<std::int64_t>()) result.push_back(static_cast<double>(v));
  } else {
    const auto values = array.values<double>();
    result.assign(values.begin(), values.end());
  }
  return result;
}

/// A dataset and, where it is a series, the epoch and step of its rows.
struct Column {
  std::vector<double> values, epoch, step;
  bool is_series() const { return !step.empty(); }
};

std::optional<Column> read_column(const hdf5::Handle& file, const std::string& path) {
  if (!hdf5::is_numeric(file, path)) return std::nullopt;
  const auto array = hdf5::read_array(file, path);
  Column column{numbers(array), {}, {}};
  const bool is_table = array.shape.size() > 1, is_of_the_whole_run = path.starts_with("results/");
  if (array.shape.empty() || is_table || is_of_the_whole_run) return column;
  // The axes stand in the nearest group above that has them.
  auto group = path;
  while (!group.empty()) {
    const auto slash = group.rfind('/');
    group = slash == std::string::npos ? "" : group.substr(0, slash);
    const auto axis = [&](const char* name) {
      return group.empty() ? std::string(name) : group + "/" + name;
    };
    if (!hdf5::exists(file, axis("epoch"))) continue;
    column.epoch = numbers(hdf5::read_array(file, axis("epoch")));
    column.step = numbers(hdf5::read_array(file, axis("step")));
    break;
  }
  if (column.epoch.size() != column.values.size()) column.epoch.clear(), column.step.clear();
  return column;
}

/// The step or epoch at which a series first crosses a bound; NaN when it never does.
double crossing(const Column& c, const Crossing& first) {
  for (std::size_t i = 0; i < c.values.size(); ++i) {
    const bool met =
        (first.above && c.values[i] >= *first.above) || (first.below && c.values[i] <= *first.below);
    if (met) return first.unit == "epoch" ? c.epoch[i] : c.step[i];
  }
  return kMissing;
}

/// The value at the first row at or past a step; NaN when the series ends before it.
double value_at(const Column& c, double step) {
  for (std::size_t i = 0; i < c.values.size(); ++i) {
    if (c.step[i] >= step) return c.values[i];
  }
  return kMissing;
}

/// True when the number is that of one row, or the place of one.
bool chooses_row(const Expectation& e) {
  return e.first || e.at_step || e.at_first_of;
}

/// What is taken of the series of one run: last, max or min.
std::string taken_of_series(const Expectation& e) {
  return (e.over ? e.each : e.take).value_or("last");
}

/// The number of one run that an expectation is about; NaN when the series never gets there. Why there cannot be
/// one goes to `problem`.
double number_in(const Expectation& e, const Column& c, const hdf5::Handle& file, std::string& problem) {
  if (chooses_row(e) && !c.is_series()) {
    problem = "has no step axis";
    return kMissing;
  }
  if (e.first) return crossing(c, *e.first);
  if (e.at_step) return value_at(c, static_cast<double>(*e.at_step));
  if (e.at_first_of) {
    const auto event = read_column(file, "events/" + *e.at_first_of + "_step");
    return event && std::isfinite(event->values.front()) ? value_at(c, event->values.front()) : kMissing;
  }
  std::vector<double> finite;
  std::copy_if(c.values.begin(), c.values.end(), std::back_inserter(finite),
               [](double v) { return !std::isnan(v); });
  if (finite.empty()) return kMissing;
  const auto take = taken_of_series(e);
  if (take == "max") return *std::max_element(finite.begin(), finite.end());
  if (take == "min") return *std::min_element(finite.begin(), finite.end());
  return finite.back();
}

bool holds(const Expectation& e, double number) {
  if (e.is == "never") return std::isnan(number);
  if (std::isnan(number)) return false;
  if (e.is == "below") return number < e.value.values[0];
  if (e.is == "above") return number > e.value.values[0];
  if (e.rel_tol > 0) return std::abs(number - e.value.values[0]) <= e.rel_tol * std::abs(e.value.values[0]);
  return number >= e.value.values[0] && number <= e.value.values[1];
}

/// " > 1000", " in 1.5 .. 2.5"
std::string bounds_text(const Bounds& b) {
  if (b.above && b.below) return fmt::format(" in {:g} .. {:g}", *b.above, *b.below);
  return b.above ? fmt::format(" > {:g}", *b.above) : fmt::format(" < {:g}", b.below.value_or(kMissing));
}

std::string what_text(const Expectation& e) {
  std::string what = e.divided_by ? fmt::format("{} / {}", e.quantity, *e.divided_by) : e.quantity;
  if (e.first) {
    what =
        fmt::format("first {} with {} {} {:g}", e.first->unit, what,
                    e.first->above ? ">=" : "<=", e.first->above.value_or(e.first->below.value_or(kMissing)));
  } else if (e.at_step) {
    what += fmt::format(" at step {}", *e.at_step);
  } else if (e.at_first_of) {
    what += " at " + *e.at_first_of;
  } else if (const auto take = taken_of_series(e); take != "last") {
    what = take + " of " + what;
  }
  if (!e.over || e.is == "never") return what;
  if (e.where) what += bounds_text(*e.where);
  return fmt::format("{} over {} of {}", e.take.value_or("median"), *e.over, what);
}

std::string wanted_text(const Expectation& e) {
  if (e.is == "never")
    return e.over ? fmt::format("never happens in any {}", *e.over == "seeds" ? "seed" : "member")
                  : "never happens";
  if (e.is != "within") return fmt::format("{} {:g}", e.is, e.value.values[0]);
  if (e.rel_tol > 0) return fmt::format("within {:g} % of {:g}", 100 * e.rel_tol, e.value.values[0]);
  return fmt::format("within {:g} .. {:g}", e.value.values[0], e.value.values[1]);
}

/// A number for each place; why there is none goes to `problem`.
std::vector<double> numbers_at(const Expectation& e, const std::vector<Place>& places, std::string& problem) {
  std::vector<double> numbers;
  if (places.empty()) problem = "no such member";
  for (const auto& place : places) {
    if (!place.problem.empty()) {
      problem = place.problem;
      return numbers;
    }
    const auto where = place.member.empty() ? "" : " in " + place.member;
    if (!std::filesystem::exists(place.metrics_file)) {
      problem = "no results" + where;
      return numbers;
    }
    const auto file = hdf5::open_file(place.metrics_file);
    const auto column = read_column(file, place.dataset);
    if (!column) {
      problem = "no such dataset of numbers" + where;
      return numbers;
    }
    numbers.push_back(number_in(e, *column, file, problem));
    if (!problem.empty()) {
      problem = fmt::format("{} {}{}", place.dataset, problem, where);
      return numbers;
    }
  }
  return numbers;
}

/// A time that does not come: later than all others.
constexpr double kNever = std::numeric_limits<double>::infinity();

/// Divides seed by seed; a divisor that has one place serves all.
void divide(const Expectation& e, const std::vector<Place>& places, const FindPlaces& find_places,
            std::vector<double>& numbers, std::string& problem) {
  const auto other_places = find_places(*e.divided_by);
  const auto others = numbers_at(e, other_places, problem);
  if (!problem.empty()) return;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::size_t k = 0;
    while (others.size() > 1 && k < others.size() && other_places[k].seed != places[i].seed) ++k;
    if (k == others.size()) {
      problem = fmt::format("{} has no seed {}", *e.divided_by, places[i].seed);
      return;
    }
    // What never comes is later than all: a time over it is no share of it.
    const bool is_of_never = e.missing == "never" && std::isnan(others[k]) && !std::isnan(numbers[i]);
    numbers[i] = is_of_never ? 0 : numbers[i] / others[k];
  }
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto n = values.size();
  return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

bool is_counted(const Expectation& e, double number) {
  if (std::isnan(number)) return false;
  return !e.where || (number > e.where->above.value_or(-kNever) && number < e.where->below.value_or(kNever));
}

/// One number of all seeds or members.
double taken_over_all(const Expectation& e, std::vector<double> numbers, std::string& problem) {
  const auto take = e.take.value_or("median");
  if (e.is == "never") {
    const auto found = std::find_if(numbers.begin(), numbers.end(), [](double v) { return !std::isnan(v); });
    return found == numbers.end() ? kMissing : *found;
  }
  if (take == "count") {
    return static_cast<double>(
        std::count_if(numbers.begin(), numbers.end(), [&](double v) { return is_counted(e, v); }));
  }
  const auto missing = std::count_if(numbers.begin(), numbers.end(), [](double v) { return std::isnan(v); });
  if (missing > 0 && e.missing == "spoils") {
    problem = fmt::format("missing in {} of {} {}", missing, numbers.size(), *e.over);
    return kMissing;
  }
  std::replace_if(
      numbers.begin(), numbers.end(), [](double v) { return std::isnan(v); }, kNever);
  const double taken = take == "min"    ? *std::min_element(numbers.begin(), numbers.end())
                       : take == "max"  ? *std::max_element(numbers.begin(), numbers.end())
                       : take == "mean" ? std::accumulate(numbers.begin(), numbers.end(), 0.0) /
                                              static_cast<double>(numbers.size())
                                        : median(numbers);
  return taken == kNever ? kMissing : taken;
}

Verdict verdict_on(const Expectation& e, const FindPlaces& find_places) {
  Verdict verdict{what_text(e), wanted_text(e), "", kMissing, false, e.paper, e.source, e.seeds.text, e.why};
  const auto places = find_places(e.quantity);
  std::string problem;
  auto numbers = numbers_at(e, places, problem);
  if (problem.empty() && e.divided_by) divide(e, places, find_places, numbers, problem);
  if (problem.empty()) {
    verdict.number = e.over ? taken_over_all(e, numbers, problem) : numbers.front();
    verdict.found = std::isnan(verdict.number) ? "never" : fmt::format("{:.6g}", verdict.number);
    verdict.met = problem.empty() && holds(e, verdict.number);
  }
  if (!problem.empty()) verdict.found = problem;
  return verdict;
}

using Names = std::vector<std::string>;

/// What stands at the root of every metrics.h5: tracked moments.
Names root_datasets() {
  auto names = gop_quantity_names();
  names.insert(names.end(), {"epoch", "step", "train_loss", "test_loss", "train_acc", "test_acc", "tracked_ids"});
  return names;
}

/// The datasets of every metrics.h5 by their group, "" being the root. An empty list: only the run itself knows.
const std::map<std::string, Names>& known_datasets() {
  static const std::map<std::string, Names> known{
      {"", root_datasets()},
      {"training", {"epoch", "step", "train_loss", "test_loss", "train_acc", "test_acc", "weight_norm"}},
      {"events", {"t_mem", "t_gen", "t_mem_step", "t_gen_step", "t_mem_epoch", "t_gen_epoch"}},
      {"observables", {}},
      {"results", {}},
      {"layers", {}},
      {"definitions", {}},
      {"probes", {}},
      {"checks", {}},
      {"timing", {}},
      {"parameters", {}},
      {"provenance", {}}};
  return known;
}

/// "training/test_acc" for "training/tets_acc" or "trainig/test_acc", or "".
std::string nearest_dataset(const std::string& dataset) {
  Names paths, groups;
  for (const auto& [group, names] : known_datasets()) {
    if (!group.empty()) groups.push_back(group);
    for (const auto& name : names) paths.push_back(group.empty() ? name : group + "/" + name);
  }
  const auto near = nearest_word(dataset, paths);
  const auto slash = dataset.find('/');
  if (!near.empty() || slash == std::string::npos) return near;
  const auto group = nearest_word(dataset.substr(0, slash), groups);
  return group.empty() || group == dataset.substr(0, slash) ? "" : group + dataset.substr(slash);
}

/// Reports a dataset that no metrics.h5 has, so that nobody learns of a misspelt name after a night of training.
void check_dataset(const std::string& quantity, const std::string& key, Problems& problems) {
  const auto dataset = quantity.starts_with("/") ? quantity.substr(1) : quantity;
  const auto slash = dataset.find('/');
  const auto group = slash == std::string::npos ? "" : dataset.substr(0, slash);
  const auto name = dataset.substr(slash == std::string::npos ? 0 : slash + 1);
  const auto known = known_datasets().find(group);
  const bool may_exist = known != known_datasets().end() && !name.empty() &&
                         (known->second.empty() || std::count(known->second.begin(), known->second.end(), name));
  if (may_exist) return;
  const auto near = nearest_dataset(dataset);
  problems.add(key, fmt::format("'{}' is in no metrics.h5", quantity), "",
               near.empty() ? "tracked moments are at its root, evaluations in training/, the paper's own numbers in "
                              "observables/ and results/"
                            : fmt::format("did you mean {}?", near));
}

bool is_of_all_members(const std::string& quantity) {
  return quantity.starts_with("members/*/");
}

void check_quantity(const Expectation& e, const std::string& key, const std::string& quantity,
                    const FindPlaces& find_places, Problems& problems) {
  const auto places = find_places(quantity);
  if (!places.empty()) check_dataset(places.front().dataset, key, problems);
  if (places.empty()) {
    problems.add(key, fmt::format("'{}' is not members/NAME/DATASET of a member of this study", quantity), "",
                 "NAME is a member's, with or without its seed");
  } else if (places.size() > 1 && !e.over) {
    const auto each = is_of_all_members(quantity) ? "members" : "seeds";
    problems.add(key, fmt::format("'{}' is there once for each of {} {}", quantity, places.size(), each), "",
                 fmt::format("add over: {}, or name one of them as {}", each, places.front().member));
  } else if (e.over && (*e.over == "members") != is_of_all_members(quantity)) {
    problems.add(key, fmt::format("'{}' is not taken over {}", quantity, *e.over), "",
                 "write over: members with members/*/DATASET, over: seeds with members/NAME/DATASET");
  }
}

void check_row(const Expectation& e, const std::string& key, Problems& problems) {
  if (e.first && !e.first->above && !e.first->below)
    problems.add(key + ".first", "neither above nor below is given", "", "give one of them");
  if (e.first.has_value() + e.at_step.has_value() + e.at_first_of.has_value() > 1)
    problems.add(key, "first, at_step and at_first_of choose a row each", "one is compared", "keep one of them");
  if (chooses_row(e) && (e.each || (e.take && !e.over))) {
    problems.add(key + (e.each ? ".each" : ".take"), "first, at_step and at_first_of have chosen a row",
                 "of one value nothing is taken", "remove it or these");
  }
}

void check_over(const Expectation& e, const std::string& key, Problems& problems) {
  const auto take = e.take.value_or("");
  if (e.each && !e.over)
    problems.add(key + ".each", "there is one run", "each is about those of a study", "use take");
  if (e.where && take != "count")
    problems.add(key + ".where", "only a count has bounds", "", "add take: count");
  if (e.is == "never" && e.take)
    problems.add(key + ".take", "never looks at all of them", "so that nothing is taken", "remove it");
  if (e.where && !e.where->above && !e.where->below)
    problems.add(key + ".where", "neither above nor below is given", "", "give one of them");
  if (e.missing == "never" && (!e.over || take == "mean" || take == "count")) {
    problems.add(key + ".missing", "never is a time for median, min and max over seeds",
                 "a mean with it would have no value, a count leaves it out",
                 "remove it or use take: median");
  }
  if (e.over && *e.over == "members" && e.divided_by) {
    problems.add(key + ".divided_by", "members have no common seed", "so that none belongs to another",
                 "compare two members over seeds");
  }
}

}  // namespace

std::string Verdict::basis() const {
  std::vector<std::string> parts;
  if (!source.empty()) parts.push_back(source);
  if (!seeds.empty()) parts.push_back("seeds: " + seeds);
  if (!why.empty()) parts.push_back("why: " + why);
  return join(parts, "; ");
}

std::string verdict_line(const Verdict& v) {
  const auto basis = v.basis();
  return fmt::format("[{}] {}: {}{}", v.met ? "ok" : "MISSED", v.claim(), v.found,
                     basis.empty() ? "" : " (" + basis + ")");
}

std::vector<Verdict> compare(const std::vector<Expectation>& expected, const FindPlaces& find_places) {
  std::vector<Verdict> verdicts;
  for (const auto& e : expected) verdicts.push_back(verdict_on(e, find_places));
  return verdicts;
}

std::vector<Verdict> compare(const std::vector<Expectation>& expected,
                             const std::filesystem::path& metrics_file) {
  return compare(expected, [&](const std::string& quantity) {
    return std::vector<Place>{{metrics_file, quantity, "", 0}};
  });
}

void check_expectations(const std::vector<Expectation>& expected, const FindPlaces& find_places,
                        Problems& problems) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& e = expected[i];
    const auto key = fmt::format("expected[{}]", i);
    const std::size_t wanted = e.is == "never" ? 0 : e.is == "within" && e.rel_tol == 0 ? 2 : 1;
    if (e.value.values.size() != wanted) {
      problems.add(
          key, fmt::format("{} needs {} value(s), not {}", e.is, wanted, e.value.values.size()), "",
          "write value: [low, high] for within, one number with rel_tol, below or above, none for never");
    }
    if (e.is == "never" && e.divided_by) {
      problems.add(key, "a ratio never happens where either quantity is missing",
                   "so that nothing would be claimed", "remove divided_by");
    }
    const auto take = e.take.value_or("");
    if (!e.over && (take == "median" || take == "mean" || take == "count")) {
      problems.add(key + ".take", take + " is taken over seeds", "a series has last, max and min",
                   "add over: seeds");
    }
    if (e.over && take == "last")
      problems.add(key + ".take", *e.over + " have no last one", "", "use median");
    check_row(e, key, problems);
    check_over(e, key, problems);
    if (find_places) {
      check_quantity(e, key + ".quantity", e.quantity, find_places, problems);
      if (e.divided_by) check_quantity(e, key + ".divided_by", *e.divided_by, find_places, problems);
      continue;
    }
    check_dataset(e.quantity, key + ".quantity", problems);
    if (e.divided_by) check_dataset(*e.divided_by, key + ".divided_by", problems);
    if (e.over) problems.add(key + ".over", "one run has one seed", "seeds are those of a study", "remove it");
  }
}

}  // namespace grokscope
