// How is it trained? The `training:` section.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/schema.hpp"
#include "train/start_options.hpp"

namespace grokscope {

/// "full" or a number of examples.
struct BatchSize {
  std::int64_t examples = 0;  ///< 0 means the full training set
  bool is_full() const { return examples == 0; }
};

template <>
struct ConfigType<BatchSize> {
  static std::string type_name() { return "full | integer"; }
  static BatchSize parse(const Node& node);
  static Node format(const BatchSize& value);
};

/// Parameters whose name contains `match` get their own rates; of several groups that match, the first one counts.
struct ParameterGroup {
  std::string match;
  std::optional<double> lr;
  std::optional<double> weight_decay;
  void declare(Schema& s);
};

/// Ends the run early: `after` epochs past the first evaluation at which `metric` passed the bound.
struct StopRule {
  std::string metric = "test_acc";
  std::optional<double> above;
  std::optional<double> below;
  std::int64_t after = 0;
  void declare(Schema& s);
};

struct TrainingOptions {
  std::int64_t epochs = 1000;
  std::optional<std::int64_t> steps;
  std::optional<StopRule> stop_when;
  BatchSize batch_size;
  std::string optimizer = "adamw";
  double lr = 1e-3;
  double weight_decay = 0;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8;
  double momentum = 0;
  std::int64_t warmup_steps = 0;
  std::optional<double> clip_norm;
  std::string constrain_norm = "none";
  std::vector<ParameterGroup> parameter_groups;
  std::optional<StartOptions> init_from;
  std::int64_t seed = 0;
  std::string dtype = "float32";
  std::string loss_dtype = "same";
  std::string device = "auto";
  std::int64_t log_interval = 10;
  std::string log_unit = "epoch";
  double memorised_at = 0.99;
  double generalised_at = 0.95;

  void declare(Schema& s);
};

}  // namespace grokscope
