#include "run/expected.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/record.hpp"
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

/// A dataset with the epoch and step of its rows (empty for a lone number).
struct Column {
  std::vector<double> values, epoch, step;
};

std::optional<Column> read_column(const hdf5::Handle& file, const std::string& path) {
  if (!hdf5::exists(file, path)) return std::nullopt;
  Column column{numbers(hdf5::read_array(file, path)), {}, {}};
  // The axes stand in the nearest group above that has them.
  auto group = path;
  while (!group.empty()) {
    const auto slash = group.rfind('/');
    group = slash == std::string::npos ? "" : group.substr(0, slash);
    const auto axis = [&](const char* name) { return group.empty() ? std::string(name) : group + "/" + name; };
    if (!hdf5::exists(file, axis("epoch"))) continue;
    column.epoch = numbers(hdf5::read_array(file, axis("epoch")));
    column.step = numbers(hdf5::read_array(file, axis("step")));
    break;
  }
  if (column.epoch.size() != column.values.size()) column.epoch.clear(), column.step.clear();
  return column;
}

std::size_t row_at_step(const Column& column, double step) {
  const auto found = std::find_if(column.step.begin(), column.step.end(), [&](double s) { return s >= step; });
  return static_cast<std::size_t>(found - column.step.begin());
}

/// The number that an expectation is about; NaN when the series never gets there.
double number_for(const Expectation& e, const Column& c, const hdf5::Handle& file) {
  const auto at_row = [&](std::size_t row) { return row < c.values.size() ? c.values[row] : kMissing; };
  if (e.first) {
    for (std::size_t i = 0; i < c.values.size() && !c.step.empty(); ++i) {
      const bool met = (e.first->above && c.values[i] >= *e.first->above) || (e.first->below && c.values[i] <= *e.first->below);
      if (met) return e.first->unit == "epoch" ? c.epoch[i] : c.step[i];
    }
    return kMissing;
  }
  if (e.at_step) return at_row(row_at_step(c, static_cast<double>(*e.at_step)));
  if (e.at_first_of) {
    const auto event = read_column(file, "events/" + *e.at_first_of + "_step");
    return event && std::isfinite(event->values.front()) ? at_row(row_at_step(c, event->values.front())) : kMissing;
  }
  std::vector<double> finite;
  std::copy_if(c.values.begin(), c.values.end(), std::back_inserter(finite), [](double v) { return !std::isnan(v); });
  if (finite.empty()) return kMissing;
  if (e.take == "max") return *std::max_element(finite.begin(), finite.end());
  if (e.take == "min") return *std::min_element(finite.begin(), finite.end());
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

std::string claim_text(const Expectation& e) {
  std::string what = e.quantity;
  if (e.first) {
    what = fmt::format("first {} with {} {} {:g}", e.first->unit, e.quantity, e.first->above ? ">=" : "<=",
                       e.first->above.value_or(e.first->below.value_or(kMissing)));
  } else if (e.at_step) {
    what += fmt::format(" at step {}", *e.at_step);
  } else if (e.at_first_of) {
    what += " at " + *e.at_first_of;
  } else if (e.take != "last") {
    what = e.take + " of " + what;
  }
  if (e.is == "never") return what + " never happens";
  if (e.is != "within") return fmt::format("{} {} {:g}", what, e.is, e.value.values[0]);
  if (e.rel_tol > 0) return fmt::format("{} within {:g} % of {:g}", what, 100 * e.rel_tol, e.value.values[0]);
  return fmt::format("{} within {:g} .. {:g}", what, e.value.values[0], e.value.values[1]);
}

}  // namespace

std::vector<Verdict> compare(const std::vector<Expectation>& expected, const std::filesystem::path& metrics_file) {
  std::vector<Verdict> verdicts;
  if (expected.empty()) return verdicts;
  const auto file = hdf5::open_file(metrics_file);
  for (const auto& e : expected) {
    Verdict verdict{claim_text(e), "no such dataset", false, e.source};
    if (const auto column = read_column(file, e.quantity)) {
      const double number = number_for(e, *column, file);
      verdict.found = std::isnan(number) ? "never" : fmt::format("{:.6g}", number);
      verdict.met = holds(e, number);
    }
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

}  // namespace grokscope
