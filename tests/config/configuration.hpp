// A small configuration with one key of every kind, for the tests of this room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/schema.hpp"
#include "config/assign.hpp"
#include "config/document.hpp"

namespace grokscope {

/// "all" or a number of examples: a type with a grammar of its own.
struct Examples {
  std::optional<std::int64_t> count;
};

template <>
struct ConfigType<Examples> {
  static std::string type_name() { return "all | integer"; }
  static Examples parse(const Node& node) {
    if (node.is_scalar() && node.scalar == "all") return {};
    try {
      return {ConfigType<std::int64_t>::parse(node)};
    } catch (const ValueProblem&) {
      throw ValueProblem("expected all or an integer, got " + name_of(node));
    }
  }
  static Node format(const Examples& value) {
    return value.count ? ConfigType<std::int64_t>::format(*value.count) : Node::plain("all");
  }
};

struct Schedule {
  std::string kind = "every";
  std::int64_t points = 200;
  void declare(Schema& s) {
    s.add("kind", kind, "how epochs are chosen").one_of({"every", "log", "list"});
    s.add("points", points, "how many").above(0);
  }
};

struct Source {
  std::string run;
  std::int64_t epoch = 0;
  void declare(Schema& s) {
    s.add("run", run, "run directory").required();
    s.add("epoch", epoch, "checkpoint").at_least(0);
  }
};

/// The configuration of the tests: options and the schemas that are bound to them.
struct Configuration {
  std::int64_t epochs = 1000;
  double lr = 1e-3;
  std::string optimizer = "adamw";
  std::vector<double> betas{0.9, 0.999};
  std::optional<double> clip;
  std::int64_t log_interval = 10;
  std::int64_t training_seed = 0;
  std::optional<Source> init_from;

  bool enabled = true;
  Examples examples;
  Schedule schedule;
  std::vector<Schedule> phases;
  std::vector<std::string> definitions{"second_moment"};
  std::vector<bool> flags;
  std::vector<std::int64_t> at;

  std::int64_t data_seed = 0;
  double bound = 1;
  std::string output_dir = "results";
  std::int64_t pairs = 5;
  Node layers;
  Node expected;
  Schemas schemas;

  Configuration() {
    declare_training(schemas.section("training"));
    declare_tracking(schemas.section("gop_tracking"));
    schemas.section("model").add("layers", layers, "free form");
    schemas.section("data").add("seed", data_seed, "which split");
    schemas.section("data").add("bound", bound, "any number").allow_non_finite();
    schemas.section("storage").add("output_dir", output_dir, "where files go").not_scientific();
    schemas.section("probes.opposing").add("pairs", pairs, "how many").at_least(1);
    schemas.section("").add("expected", expected, "claims of the paper").not_scientific();
  }
  Configuration(const Configuration&) = delete;
  Configuration& operator=(const Configuration&) = delete;

  explicit Configuration(const std::string& text) : Configuration() {
    assign(parse_document(text, "a.yaml"), schemas);
  }

 private:
  void declare_training(Schema& s) {
    s.add("epochs", epochs, "passes over the training set").unit("epoch").at_least(0);
    s.add("lr", lr, "learning rate").above(0);
    s.add("optimizer", optimizer, "update rule").one_of({"sgd", "adam", "adamw"});
    s.add("betas", betas, "Adam's decay rates").length(2).range(0, 1);
    s.add("clip", clip, "largest gradient norm").above(0);
    s.add("log_interval", log_interval, "epochs between log lines").unit("epoch").not_scientific();
    s.add("seed", training_seed, "of everything random");
    s.add("init_from", init_from, "start from a checkpoint");
  }
  void declare_tracking(Schema& s) {
    s.add("enabled", enabled, "track at all");
    s.add("examples", examples, "which training examples");
    s.add("schedule", schedule, "when to track");
    s.add("phases", phases, "schedules in turn");
    s.add("definitions", definitions, "which matrices").one_of({"second_moment", "covariance", "mean"});
    s.add("flags", flags, "switches");
    s.add("at", at, "epochs").unit("epoch");
  }
};

}  // namespace grokscope
