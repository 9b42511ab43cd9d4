// The sections of a configuration that belong to the run itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/schema.hpp"

namespace grokscope {

struct ExperimentOptions {
  std::string name;
  std::string paper_id;
  std::string description;
  void declare(Schema& s);
};

struct LimitOptions {
  double max_gop_size_gb = 100;
  double warn_if_exceeds_gb = 10;
  double memory_per_rank_gb = 8;
  std::int64_t checkpoint_frequency = 1000;
  double checkpoint_after_s = 1800;
  std::vector<std::int64_t> checkpoint_epochs;
  std::int64_t threads_per_rank = 1;
  double max_silence_s = 7200;
  double keep_free_memory_gb = 0.25;
  double keep_free_disk_gb = 0;
  void declare(Schema& s);
};

/// One number or a list of numbers.
struct Numbers {
  std::vector<double> values;
};

template <>
struct ConfigType<Numbers> {
  static std::string type_name() { return "number | list of numbers"; }
  static Numbers parse(const Node& node);
  static Node format(const Numbers& value);
};

/// For whoever reads a claim: how many seeds, or which, its bound was seen on ("0, 1, 2").
struct SeedNote {
  std::string text;
};

template <>
struct ConfigType<SeedNote> {
  static std::string type_name() { return "text | number | list"; }
  static SeedNote parse(const Node& node);
  static Node format(const SeedNote& value) { return Node::string(value.text); }
};

/// Where in a series an expectation looks.
struct Crossing {
  std::optional<double> above;
  std::optional<double> below;
  std::string unit = "step";
  void declare(Schema& s);
};

/// Which numbers are counted.
struct Bounds {
  std::optional<double> above;
  std::optional<double> below;
  void declare(Schema& s);
};

/// One claim and how it is checked; see expected.hpp.
struct Expectation {
  std::string quantity;
  std::string is = "within";
  Numbers value;
  double rel_tol = 0;
  std::optional<Crossing> first;
  std::optional<std::int64_t> at_step;
  std::optional<std::string> at_first_of;
  std::optional<std::string> take;
  std::optional<std::string> over;
  std::optional<std::string> each;
  std::optional<Bounds> where;
  std::string missing = "spoils";
  std::optional<std::string> divided_by;
  std::string paper;
  std::string source;
  SeedNote seeds;
  std::string why;
  void declare(Schema& s);
};

}  // namespace grokscope
