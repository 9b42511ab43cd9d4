// Where does training start, if not at the model's own initialisation? The `training.init_from:` section.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/schema.hpp"

namespace grokscope {

/// A checkpoint of a run: that of an epoch, the newest, or the first at or after the event t_gen.
struct CheckpointChoice {
  enum class Kind { epoch, last, t_gen };
  Kind kind = Kind::last;
  std::int64_t epoch = 0;
};

template <>
struct ConfigType<CheckpointChoice> {
  static std::string type_name() { return "integer | last | t_gen"; }
  static CheckpointChoice parse(const Node& node);
  static Node format(const CheckpointChoice& value);
};

/// "all", or names of parameters.
struct ParameterChoice {
  std::vector<std::string> names;  ///< empty means all
  bool is_all() const { return names.empty(); }
};

template <>
struct ConfigType<ParameterChoice> {
  static std::string type_name() { return "all | list of text"; }
  static ParameterChoice parse(const Node& node);
  static Node format(const ParameterChoice& value);
};

/// Which entries of the parameters stay zero; see weight_mask.hpp.
struct MaskOptions {
  CheckpointChoice epoch;
  double keep = 0.4;
  std::string scope = "global";
  std::string kind = "magnitude";
  ParameterChoice parameters;
  std::string match_norm = "none";
  std::optional<std::int64_t> seed;
  void declare(Schema& s);
};

struct StartOptions {
  std::string run;
  CheckpointChoice epoch;
  std::optional<MaskOptions> mask;
  void declare(Schema& s);
};

}  // namespace grokscope
