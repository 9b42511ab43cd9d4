// What is one row of measurements, and what does each of its columns mean?
// Probes and the training loop fill records; io appends them to the tables of metrics.h5.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace grokscope {

/// Says what a column holds; stored as attributes beside the numbers.
struct Quantity {
  std::string path;        ///< dataset path in metrics.h5, without the leading slash: "layers/embed/gop_trace"
  std::string long_name;   ///< for an axis label
  std::string units;       ///< "1" when there is none
  std::string definition;  ///< the formula, with its normalisation
};

/// One value (or one fixed-length vector of values) of a quantity at one moment of training.
struct Measurement {
  Quantity quantity;
  std::vector<double> values;
  bool is_vector = false;  ///< a scalar becomes a dataset [T], a vector one [T, k]
};

inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// One row of one table. `table` is the group that owns the axes `epoch` and `step`: "" for the tracked epochs,
/// "training" for every evaluation, "observables", "timing", "probes/<name>".
struct Record {
  std::string table;
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  std::vector<Measurement> measurements;

  void set(Quantity quantity, double value) { measurements.push_back({std::move(quantity), {value}, false}); }
  void set(Quantity quantity, std::vector<double> values) {
    measurements.push_back({std::move(quantity), std::move(values), true});
  }
  /// Returns the value of a scalar measurement, or NaN when the record has none of that path.
  double value_of(const std::string& path) const {
    for (const auto& m : measurements) {
      if (m.quantity.path == path && !m.is_vector) return m.values.front();
    }
    return kMissing;
  }
};

}  // namespace grokscope
