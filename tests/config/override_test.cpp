// What the command line changes, and which name the run directory gets from it.
#include "config/override.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "config/configuration.hpp"

namespace grokscope {
namespace {

std::string error_of(Node root, const std::string& text) {
  try {
    apply_override(root, text);
    const Configuration c;
    assign(root, c.schemas);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

std::string suffix_of(const std::vector<std::string>& overrides) {
  const Configuration c;
  return overrides_suffix(overrides, c.schemas);
}

TEST(Override, SetsValuesOfAnyKindAndMakesSections) {
  auto root = parse_document("training: {lr: 1, clip: 5}\nstorage:\n", "a.yaml");
  for (const auto* text :
       {"training.lr=0.02", "training.betas=[0.1, 0.2]", "gop_tracking.schedule={kind: log}",
        "storage.output_dir = x y ", "training.clip=", "probes.opposing.pairs=9",
        "gop_tracking.schedule.points=7", "training.epochs=1", "training.epochs=2"}) {
    apply_override(root, text);
  }
  Configuration c;
  assign(root, c.schemas);
  EXPECT_EQ(c.lr, 0.02);
  EXPECT_EQ(c.betas, (std::vector<double>{0.1, 0.2}));
  EXPECT_EQ(c.schedule.kind, "log");
  EXPECT_EQ(c.schedule.points, 7);
  EXPECT_EQ(c.output_dir, "x y");
  EXPECT_EQ(c.clip, std::nullopt);
  EXPECT_EQ(c.pairs, 9);
  EXPECT_EQ(c.epochs, 2);
}

TEST(Override, NamesItselfInMessages) {
  const auto root = parse_document("training: {lr: 1}\n", "a.yaml");
  EXPECT_EQ(error_of(root, "training.lr=-1"),
            "override 'training.lr=-1': training.lr: -1 is out of range (must be > 0)");
  EXPECT_EQ(error_of(root, "training.betas=[0.1, 7]"),
            "override 'training.betas=[0.1, 7]': training.betas[1]: 7 is out of range (must be 0 to 1)");
  EXPECT_EQ(error_of(root, "trainig.lr=1"),
            "override 'trainig.lr=1': trainig: unknown section, did you mean training?");
  EXPECT_EQ(error_of(root, "lr=1"), "override 'lr=1': lr: unknown key, did you mean training.lr?");
}

TEST(Override, OfAFileCarriesItsPlace) {
  Node root = Node::map();
  set_key(root, parse_override("training.betas=[0.9, 0.98]", {"study.yaml", 7, 3}));
  EXPECT_EQ(find_path(root, "training.betas")->items.at(1).mark.text(), "study.yaml:7:3");
  EXPECT_EQ(to_line(*find_path(root, "training.betas")), "[0.9, 0.98]");
  try {
    set_key(root, parse_override("training.betas.first=1", {"study.yaml", 9, 1}));
    FAIL() << "a list has no keys";
  } catch (const ConfigurationError& error) {
    ASSERT_EQ(error.problems().size(), 1u);
    EXPECT_EQ(error.problems().front().mark.text(), "study.yaml:9:1");
  }
}

TEST(Override, RefusesWhatIsNoOverride) {
  const auto root = parse_document("training: {lr: 1}\n", "a.yaml");
  for (const auto* text :
       {"training.lr", "=1", ".lr=1", "training.=1", "training lr=1", "a..b=1", "-lr=1", ""}) {
    EXPECT_EQ(error_of(root, text),
              "override '" + std::string(text) +
                  "': not of the form key.path=value (a key path is names joined by dots), "
                  "write for example training.lr=0.02");
  }
  EXPECT_EQ(
      error_of(root, "training.lr.x=1"),
      "override 'training.lr.x=1': 'training.lr' holds '1' (only a map has keys below it), set 'training.lr' "
      "as a whole");
  EXPECT_EQ(error_of(root, "training.betas=[0.1"),
            "override 'training.betas=[0.1': not valid YAML (end of sequence flow not found), check the "
            "indentation, colons, quotes and brackets here and in the line above");
  EXPECT_EQ(
      error_of(root, "training.optimizer='sgd"),
      "override 'training.optimizer='sgd': not valid YAML (illegal EOF in scalar), check the indentation, "
      "colons, quotes and brackets here and in the line above");
}

TEST(Suffix, NamesScientificOverridesSorted) {
  EXPECT_EQ(suffix_of({}), "");
  EXPECT_EQ(suffix_of({"training.lr=0.02"}), "+lr=0.02");
  EXPECT_EQ(suffix_of({"training.optimizer=sgd", "training.lr=1", "storage.output_dir=/x",
                       "training.log_interval=5"}),
            "+lr=1+optimizer=sgd");
  EXPECT_EQ(suffix_of({"training.lr=1", "training.lr=2"}), "+lr=2");
  EXPECT_EQ(suffix_of({"gop_tracking.schedule.kind=log"}), "+gop_tracking.schedule.kind=log");
  EXPECT_EQ(suffix_of({"expected.foo=1"}), "");
}

TEST(Suffix, KeepsKeysOfOneNameApart) {
  EXPECT_EQ(suffix_of({"training.seed=1"}), "+seed=1");
  EXPECT_EQ(suffix_of({"data.seed=1"}), "+data.seed=1");
  EXPECT_EQ(suffix_of({"data.seed=2", "training.seed=1"}), "+data.seed=2+seed=1");
}

TEST(Suffix, HoldsOnlyCharactersOfFileNames) {
  EXPECT_EQ(suffix_of({"training.betas=[0.9, 0.98]"}), "+betas=0.9,0.98");
  const auto a = suffix_of({"training.optimizer=../a"});
  const auto b = suffix_of({"training.optimizer=..:a"});
  EXPECT_EQ(a.substr(0, 16), "+optimizer=.._a-");
  EXPECT_EQ(a.size(), 24u);
  EXPECT_NE(a, b);
  EXPECT_EQ((a + b).find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=,+-"),
            std::string::npos);
}

TEST(Suffix, IsAHashWhenLong) {
  const std::string digits(60 - 4, '1');
  EXPECT_EQ(suffix_of({"training.lr=" + digits}), "+lr=" + digits);
  const auto long_a = suffix_of({"training.lr=" + digits + "1"});
  const auto long_b = suffix_of({"training.lr=" + digits + "2"});
  EXPECT_EQ(long_a.size(), 13u);
  EXPECT_NE(long_a, long_b);
  EXPECT_EQ(long_a.find_first_not_of("0123456789abcdef", 1), std::string::npos);
}

}  // namespace
}  // namespace grokscope
