// The resolved file reads back to the same values; the fingerprint sees science only.
#include "config/resolved.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "config/configuration.hpp"

namespace grokscope {
namespace {

const char* const kText =
    "training: {epochs: 7, lr: 0.1, optimizer: sgd, clip: 1e-300, init_from: {run: a b}}\n"
    "gop_tracking: {enabled: no, examples: 12, schedule: {kind: log}, definitions: [mean], flags: [on, "
    "off],\n"
    "  phases: [{points: 3}, {kind: list}], at: [1, 2]}\n"
    "data: {bound: nan, seed: 9007199254740993}\n"
    "storage: {output_dir: \"x: # \\\"y\\\"\\n\\t\\x01\\\\ \\u2028 é 'z'\"}\n"
    "expected: [{is: within, value: 1e-3, 'true': \"5\", note: a b, none: null, list: [x, [y]]}]\n";

TEST(Resolved, YamlReadsBackToTheIdenticalValues) {
  const Configuration first(kText);
  const auto yaml = resolved_yaml(first.schemas);
  const Configuration second(yaml);
  EXPECT_EQ(resolved_yaml(second.schemas), yaml);
  EXPECT_EQ(second.epochs, 7);
  EXPECT_EQ(second.lr, 0.1);
  EXPECT_EQ(second.optimizer, "sgd");
  EXPECT_EQ(second.betas, first.betas);
  EXPECT_EQ(second.clip, 1e-300);
  EXPECT_EQ(second.init_from->run, "a b");
  EXPECT_FALSE(second.enabled);
  EXPECT_EQ(second.examples.count, 12);
  EXPECT_EQ(second.schedule.kind, "log");
  ASSERT_EQ(second.phases.size(), 2u);
  EXPECT_EQ(second.phases[0].points, 3);
  EXPECT_EQ(second.phases[1].kind, "list");
  EXPECT_EQ(second.definitions, first.definitions);
  EXPECT_EQ(second.flags, (std::vector<bool>{true, false}));
  EXPECT_EQ(second.at, (std::vector<std::int64_t>{1, 2}));
  EXPECT_TRUE(std::isnan(second.bound));
  EXPECT_EQ(second.data_seed, 9007199254740993);
  EXPECT_EQ(second.output_dir, "x: # \"y\"\n\t\x01\\ \u2028 é 'z'");
  EXPECT_TRUE(second.expected == first.expected);
  EXPECT_EQ(fingerprint(second.schemas), fingerprint(first.schemas));
}

TEST(Resolved, DefaultsReadBackToo) {
  const Configuration first;
  const Configuration second(resolved_yaml(first.schemas));
  EXPECT_TRUE(resolved(first.schemas) == resolved(second.schemas));
  EXPECT_EQ(second.clip, std::nullopt);
  EXPECT_EQ(second.init_from.has_value(), false);
  EXPECT_TRUE(second.phases.empty());
}

TEST(Resolved, YamlCarriesUnitAndMeaning) {
  const Configuration c("training: {epochs: 7}\n");
  const auto yaml = resolved_yaml(c.schemas);
  EXPECT_EQ(yaml.substr(0, yaml.find("  optimizer")),
            "# The resolved configuration: every key with the value that the run uses.\n"
            "training:\n"
            "  epochs: 7  # [epoch] passes over the training set\n"
            "  lr: 0.001  # learning rate\n");
  EXPECT_NE(yaml.find("  schedule:  # when to track\n    kind: every  # how epochs are chosen\n"),
            std::string::npos);
}

TEST(Resolved, JsonHoldsTheSameValuesWithTheirTypes) {
  const Configuration c(kText);
  const auto json = nlohmann::json::parse(resolved_json(c.schemas));
  EXPECT_EQ(json["training"]["epochs"], 7);
  EXPECT_TRUE(json["training"]["epochs"].is_number_integer());
  EXPECT_TRUE(json["training"]["lr"].is_number_float());
  EXPECT_EQ(json["training"]["lr"].get<double>(), 0.1);
  EXPECT_EQ(json["training"]["clip"].get<double>(), 1e-300);
  EXPECT_EQ(json["gop_tracking"]["enabled"], false);
  EXPECT_EQ(json["gop_tracking"]["phases"][1]["kind"], "list");
  EXPECT_EQ(json["data"]["bound"], ".nan");
  EXPECT_EQ(json["data"]["seed"].get<std::int64_t>(), 9007199254740993);
  EXPECT_EQ(json["storage"]["output_dir"], c.output_dir);
  EXPECT_EQ(json["expected"][0]["true"], "5");
  EXPECT_EQ(json["expected"][0]["value"].get<double>(), 1e-3);
  EXPECT_TRUE(json["expected"][0]["none"].is_null());
  EXPECT_EQ(json["probes"]["opposing"]["pairs"], 5);
}

TEST(Fingerprint, IgnoresOrderSpellingAndWhatIsNotScientific) {
  const Configuration a(
      "training: {lr: 0.01, epochs: 10}\ngop_tracking: {schedule: {kind: log, points: 5}}\n");
  const Configuration b(
      "# a comment\ngop_tracking:\n  schedule: {points: 5, kind: log}\nstorage: {output_dir: elsewhere}\n"
      "training:\n  epochs: 1e1\n  lr: 1e-2\n  log_interval: 3\nexpected: [1]\n");
  EXPECT_EQ(fingerprint(a.schemas), fingerprint(b.schemas));
}

TEST(Fingerprint, IgnoresTheOrderOfKeysButNotOfItemsInFreeForm) {
  const Configuration a("model: {layers: [{kind: linear, width: 4}, 'x']}\n");
  const Configuration b("model: {layers: [{width: 4, kind: linear}, x]}\n");
  const Configuration c("model: {layers: [x, {kind: linear, width: 4}]}\n");
  EXPECT_EQ(fingerprint(a.schemas), fingerprint(b.schemas));
  EXPECT_NE(fingerprint(a.schemas), fingerprint(c.schemas));
}

TEST(Fingerprint, SeesEveryScientificValue) {
  const std::vector<std::string> texts{"training: {lr: 0.01}",
                                       "training: {lr: 0.010000000000000002}",
                                       "training: {clip: 1}",
                                       "training: {seed: 1}",
                                       "data: {seed: 1}",
                                       "gop_tracking: {schedule: {points: 5}}",
                                       "gop_tracking: {phases: [{points: 5}]}",
                                       "gop_tracking: {examples: 4}",
                                       "probes: {opposing: {pairs: 6}}",
                                       "training: {init_from: {run: x}}",
                                       "data:"};
  std::vector<std::uint64_t> seen;
  for (const auto& text : texts) {
    const auto hash = fingerprint(Configuration(text).schemas);
    EXPECT_EQ(std::count(seen.begin(), seen.end(), hash), 0) << text;
    seen.push_back(hash);
  }
}

TEST(Fingerprint, LeavesOutWhatTheCallerExcludes) {
  const Configuration a("training: {epochs: 10, seed: 4}\nprobes: {opposing: {pairs: 2}}\n");
  const Configuration b("training: {epochs: 20, seed: 4}\n");
  const std::vector<std::string> both{"training.epochs", "probes"};
  const std::vector<std::string> one{"training.epochs"};
  EXPECT_EQ(fingerprint(a.schemas, both), fingerprint(b.schemas, both));
  EXPECT_NE(fingerprint(a.schemas, one), fingerprint(b.schemas, one));
}

TEST(Difference, ListsWhatChangedAndWhetherItMatters) {
  const auto before = parse_document(
      "training: {lr: 1e-2, epochs: 10.0, log_interval: 5}\ngop_tracking: {schedule: {points: 7}}\n"
      "old: {key: 3}\nexpected: {a: 1}\n",
      "old.yaml");
  const Configuration c(
      "training: {lr: 0.02, epochs: 10, log_interval: 6}\ngop_tracking: {schedule: {points: 7}}\n");
  std::vector<std::string> scientific, other;
  for (const auto& d : difference(before, c.schemas)) (d.scientific ? scientific : other).push_back(d.text());
  const auto has = [](const std::vector<std::string>& texts, const std::string& text) {
    return std::count(texts.begin(), texts.end(), text) == 1;
  };
  EXPECT_TRUE(has(scientific, "training.lr 0.01 -> 0.02"));
  EXPECT_TRUE(has(scientific, "old.key 3 -> absent"));
  EXPECT_TRUE(has(scientific, "gop_tracking.schedule.kind absent -> every"));
  EXPECT_TRUE(has(other, "training.log_interval 5 -> 6"));
  EXPECT_TRUE(has(other, "expected.a 1 -> absent"));
  for (const auto& text : scientific) EXPECT_EQ(text.find("epochs"), std::string::npos) << text;
  for (const auto& text : scientific) EXPECT_EQ(text.find("points"), std::string::npos) << text;
}

TEST(Difference, IsEmptyForTheResolvedFileItself) {
  const Configuration c(kText);
  EXPECT_TRUE(difference(parse_document(resolved_yaml(c.schemas), "config.yaml"), c.schemas).empty());
}

}  // namespace
}  // namespace grokscope
