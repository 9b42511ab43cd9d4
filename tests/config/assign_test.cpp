// What fits the schemas, and every way not to fit them, with its place.
#include "config/assign.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.hpp"
#include "config/configuration.hpp"
#include "config/override.hpp"

namespace grokscope {
namespace {

std::string error_of(const std::string& text) {
  try {
    Configuration configuration(text);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Assign, FillsEveryKindOfKey) {
  const Configuration c(
      "training:\n  epochs: 1e4\n  lr: 2\n  optimizer: sgd\n  betas: [0, 0.5]\n  clip: 1\n"
      "  init_from: {run: results/x, epoch: 3}\n"
      "gop_tracking:\n  enabled: off\n  examples: 500\n  schedule: {kind: log}\n  phases: [{points: 3}]\n"
      "  definitions: [mean, covariance]\n  flags: [yes, no]\n  at: []\n"
      "data: {bound: -.inf}\nprobes: {opposing: {pairs: 7}}\nstorage:\nexpected: [{value: 1}]\n");
  EXPECT_EQ(c.epochs, 10000);
  EXPECT_EQ(c.lr, 2);
  EXPECT_EQ(c.optimizer, "sgd");
  EXPECT_EQ(c.betas, (std::vector<double>{0, 0.5}));
  EXPECT_EQ(c.clip, 1.0);
  ASSERT_TRUE(c.init_from.has_value());
  EXPECT_EQ(c.init_from->run, "results/x");
  EXPECT_EQ(c.init_from->epoch, 3);
  EXPECT_FALSE(c.enabled);
  EXPECT_EQ(c.examples.count, 500);
  EXPECT_EQ(c.schedule.kind, "log");
  EXPECT_EQ(c.schedule.points, 200);
  ASSERT_EQ(c.phases.size(), 1u);
  EXPECT_EQ(c.phases[0].points, 3);
  EXPECT_EQ(c.definitions, (std::vector<std::string>{"mean", "covariance"}));
  EXPECT_EQ(c.flags, (std::vector<bool>{true, false}));
  EXPECT_TRUE(c.at.empty());
  EXPECT_EQ(c.bound, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(c.pairs, 7);
  EXPECT_EQ(to_line(c.expected), "[{value: 1}]");
  EXPECT_EQ(c.output_dir, "results");
}

TEST(Assign, PointsAtUnknownSectionsAndKeys) {
  EXPECT_EQ(error_of("trainig:\n  lr: 1\n"), "a.yaml:1:1: trainig: unknown section, did you mean training?");
  EXPECT_EQ(error_of("training:\n  epoch: 1\n"),
            "a.yaml:2:3: training.epoch: unknown key, did you mean training.epochs or "
            "training.init_from.epoch?");
  EXPECT_EQ(error_of("gop_tracking:\n  lr: 1\n"),
            "a.yaml:2:3: gop_tracking.lr: unknown key, did you mean training.lr?");
  EXPECT_EQ(error_of("gop_tracking:\n  optimiser: sgd\n"),
            "a.yaml:2:3: gop_tracking.optimiser: unknown key, did you mean training.optimizer?");
  EXPECT_EQ(error_of("lr: 1\n"), "a.yaml:1:1: lr: unknown key, did you mean training.lr?");
  EXPECT_EQ(
      error_of("gop_tracking:\n  schedule:\n    point: 1\n"),
      "a.yaml:3:5: gop_tracking.schedule.point: unknown key, did you mean gop_tracking.schedule.points?");
  EXPECT_EQ(error_of("probes:\n  oposing: {}\n"),
            "a.yaml:2:3: probes.oposing: unknown key, did you mean probes.opposing?");
  EXPECT_EQ(error_of("probes:\n  opposing:\n    colour: 1\n"),
            "a.yaml:3:5: probes.opposing.colour: unknown key");
}

TEST(Assign, PointsAtValuesOfTheWrongKind) {
  EXPECT_EQ(error_of("training:\n  epochs: 3abc\n"),
            "a.yaml:2:11: training.epochs: expected an integer, got '3abc'");
  EXPECT_EQ(error_of("training:\n  epochs: 1.5\n"),
            "a.yaml:2:11: training.epochs: expected an integer, got '1.5'");
  EXPECT_EQ(error_of("training:\n  lr:\n  clip: 1\n"),
            "a.yaml:2:3: training.lr: expected a number, got nothing");
  EXPECT_EQ(error_of("training: 5\n"), "a.yaml:1:11: training: expected a map of keys, got '5'");
  EXPECT_EQ(error_of("probes: [1]\n"), "a.yaml:1:9: probes: expected a map of keys, got a list");
  EXPECT_EQ(error_of("gop_tracking:\n  examples: some\n"),
            "a.yaml:2:13: gop_tracking.examples: expected all or an integer, got 'some'");
  EXPECT_EQ(error_of("gop_tracking:\n  phases:\n    - {points: 1}\n    - {points: 0}\n"),
            "a.yaml:4:16: gop_tracking.phases[1].points: 0 is out of range (must be > 0)");
  EXPECT_EQ(error_of("training:\n  init_from: {epoch: 2}\n"),
            "a.yaml:2:14: training.init_from.run: is missing (it has no default)");
  EXPECT_EQ(
      error_of("gop_tracking:\n  definitions: [mean, covarianc]\n"),
      "a.yaml:2:23: gop_tracking.definitions[1]: unknown choice 'covarianc' (must be one of second_moment, "
      "covariance, mean), did you mean covariance?");
}

TEST(Assign, TellsEverythingAtOnceInTheOrderOfTheDocument) {
  auto root = parse_document("probes: {x: {}}\ntraining:\n  epochs: -1\n  lr: x\nmodell: {}\n", "a.yaml");
  apply_override(root, "training.optimizer=adm");
  const Configuration c;
  try {
    assign(root, c.schemas);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(
        error.what(),
        "5 problems in the configuration:\n"
        "a.yaml:1:10: probes.x: unknown key\n"
        "a.yaml:3:11: training.epochs: -1 is out of range (must be >= 0)\n"
        "a.yaml:4:7: training.lr: expected a number, got 'x'\n"
        "a.yaml:5:1: modell: unknown section, did you mean model?\n"
        "override 'training.optimizer=adm': training.optimizer: unknown choice 'adm' (must be one of sgd, "
        "adam, adamw), did you mean adam?");
  }
}

TEST(Assign, MissingRequiredKeysOfAnAbsentSectionAreProblemsOfTheDocument) {
  std::string name;
  Schemas schemas;
  schemas.section("experiment").add("name", name, "which experiment").required();
  try {
    assign(parse_document("experiment:\n", "a.yaml"), schemas);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "a.yaml:1:1: experiment.name: is missing (it has no default)");
  }
}

}  // namespace
}  // namespace grokscope
