// Does the run, or the study, show what the paper showed?
// Reads finished metrics.h5 files and compares them with the `expected:` list. A study has the same list: its
// quantities only lie in several files, and may be taken over seeds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/record.hpp"
#include "run/options.hpp"

namespace grokscope {

struct Verdict {
  std::string what;    ///< "first epoch with training/test_loss <= 0.1"
  std::string wanted;  ///< "within 800 .. 4500"
  std::string found;   ///< the number, or why there is none
  double number = kMissing;
  bool met = false;
  std::string paper;  ///< what the paper says
  std::string source;
  std::string seeds;  ///< those that the bound was seen on
  std::string why;    ///< the bound is not the source's

  /// "first epoch with training/test_loss <= 0.1: within 800 .. 4500"
  std::string claim() const { return what + " " + wanted; }
  /// Where the bound comes from: "measured.md 03; seeds: 0, 1, 2; why: two ranks differ".
  std::string basis() const;
};

/// "[ok] claim: found (basis)", as the end of a run shows it.
std::string verdict_line(const Verdict& verdict);

/// A dataset of one run.
struct Place {
  std::filesystem::path metrics_file;
  std::string dataset;
  std::string member;  ///< empty in an ordinary run
  std::int64_t seed = 0;
  std::string problem = {};  ///< why there is nothing to be compared, "" where there is
};

/// Says where a quantity lies: one place, or with `over` one for each seed or member. Empty when there is
/// none.
using FindPlaces = std::function<std::vector<Place>(const std::string& quantity)>;

/// One verdict per expectation. Over seeds, one number of each run's series (`each`) is taken first. A seed without a value spoils median, mean, min and max unless
/// `missing: never` says that it is later than all others (then a median exists while more than half of the
/// seeds have a value); `is: never` must hold for every seed. Local.
std::vector<Verdict> compare(const std::vector<Expectation>& expected, const FindPlaces& find_places);

/// The same for the file of one run. Local.
std::vector<Verdict> compare(const std::vector<Expectation>& expected,
                             const std::filesystem::path& metrics_file);

/// Reports expectations whose keys do not fit together, members that a study does not have, and datasets that
/// no metrics.h5 has; those below /observables, /results, /layers, /definitions and /probes are known only when
/// a run has ended. One run has no `find_places`. Local.
void check_expectations(const std::vector<Expectation>& expected, const FindPlaces& find_places,
                        Problems& problems);

}  // namespace grokscope
