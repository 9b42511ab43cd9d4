// Marks and nodes, declared keys, limits, documentation, collected problems.
#include "base/schema.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace grokscope {
namespace {

struct Schedule {
  std::string kind = "every";
  std::int64_t points = 200;
  void declare(Schema& s) {
    s.add("kind", kind, "how epochs are chosen").one_of({"every", "log", "list"});
    s.add("points", points, "how many").above(0);
  }
};

struct TrainingOptions {
  std::int64_t epochs = 1000;
  double lr = 1e-3;
  std::string optimizer = "adamw";
  std::vector<double> betas{0.9, 0.999};
  std::optional<double> clip;
  Schedule schedule;
  std::vector<Schedule> phases;
  bool shuffle = true;
  std::string note = "a b";
  void declare(Schema& s) {
    s.add("epochs", epochs, "passes over the training set").unit("epoch").at_least(0);
    s.add("lr", lr, "learning rate").above(0);
    s.add("optimizer", optimizer, "update rule").one_of({"sgd", "adam", "adamw"});
    s.add("betas", betas, "Adam's decay rates").length(2).range(0, 1);
    s.add("clip", clip, "largest gradient norm").above(0);
    s.add("schedule", schedule, "when to track");
    s.add("phases", phases, "schedules in turn");
    s.add("shuffle", shuffle, "new order every epoch").not_scientific();
    s.add("note", note, "free text | any").not_scientific();
  }
};

Node at(Node node, int line) {
  node.mark = {"a.yaml", line, 3};
  return node;
}

/// The texts of all problems found when `map` is read into fresh options.
std::vector<std::string> problems_of(const Node& map) {
  TrainingOptions options;
  Schema schema;
  options.declare(schema);
  Reading reading;
  schema.read(map, "training", reading);
  std::vector<std::string> texts;
  for (const auto& problem : reading.problems.all()) texts.push_back(problem.text());
  return texts;
}

std::string problem_with(const std::string& key, Node value) {
  Node map = Node::map();
  map.set(key, at(std::move(value), 7));
  const auto texts = problems_of(map);
  return texts.size() == 1 ? texts[0] : "number of problems: " + std::to_string(texts.size());
}

TEST(Mark, NamesFileOverrideAndDefault) {
  EXPECT_EQ((Mark{"a.yaml", 3, 5}.text()), "a.yaml:3:5");
  EXPECT_EQ((Mark{"override 'a=1'", 0, 0}.text()), "override 'a=1'");
  EXPECT_EQ(Mark{}.text(), "default");
}

TEST(Node, QuotesOnlyTextThatWouldReadAsSomethingElse) {
  EXPECT_EQ(to_line(Node::string("adamw")), "adamw");
  for (const auto* text :
       {"true", "No", "null", "none", "5", "1e3", "-", "", "a: b", "y", ".inf", "~", "a#b", "<<"}) {
    EXPECT_EQ(to_line(Node::string(text)), "\"" + std::string(text) + "\"");
  }
  EXPECT_EQ(to_line(Node::string("a\"\\\n\t\x01")), "\"a\\\"\\\\\\n\\t\\x01\"");
}

TEST(Node, FindsValuesByPath) {
  Node root;
  Node inner;
  inner.set("name", Node::plain("x"));
  root.set("study", Node::map()).set("members", Node::list({Node::plain("1"), inner}));
  ASSERT_NE(find_path(root, "study.members[1].name"), nullptr);
  EXPECT_EQ(find_path(root, "study.members[1].name")->scalar, "x");
  EXPECT_EQ(to_line(root), "{study: {members: [1, {name: x}]}}");
  for (const auto* path :
       {"study.members[2]", "study.members[x]", "study.members[", "study.name", "..", "study[0]"}) {
    EXPECT_EQ(find_path(root, path), nullptr) << path;
  }
}

TEST(ConfigType, DoublesReadBackExactlyAndAsYaml11) {
  const std::array values{0.1,    1e-3,    1e-10,      1.0, -0.0, 1e16, 1.7976931348623157e308,
                          5e-324, 1.0 / 3, 123456789.0};
  for (const double value : values) {
    const Node node = ConfigType<double>::format(value);
    EXPECT_EQ(ConfigType<double>::parse(node), value);
    EXPECT_EQ(std::signbit(ConfigType<double>::parse(node)), std::signbit(value));
    EXPECT_NE(node.scalar.find('.'), std::string::npos) << node.scalar;
  }
  EXPECT_EQ(ConfigType<double>::format(1e-10).scalar, "1.0e-10");
  EXPECT_EQ(ConfigType<double>::format(1e16).scalar, "1.0e+16");
  EXPECT_EQ(ConfigType<double>::format(1).scalar, "1.0");
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ConfigType<double>::parse(ConfigType<double>::format(-infinity)), -infinity);
  EXPECT_TRUE(std::isnan(ConfigType<double>::parse(ConfigType<double>::format(std::nan("")))));
}

TEST(ConfigType, ReadsNumbersWholly) {
  EXPECT_EQ(ConfigType<double>::parse(Node::plain("1e-3")), 1e-3);
  EXPECT_EQ(ConfigType<double>::parse(Node::plain("+.5")), 0.5);
  EXPECT_EQ(ConfigType<double>::parse(Node::plain("-7")), -7);
  for (const auto* text : {"3abc", "1e", "0x10", "--1", "+-1", "e5", ".", "1,5", "1 2", "infin", "1e400"}) {
    EXPECT_THROW(ConfigType<double>::parse(Node::plain(text)), ValueProblem) << text;
  }
  EXPECT_EQ(ConfigType<std::int64_t>::parse(Node::plain("1e4")), 10000);
  EXPECT_EQ(ConfigType<std::int64_t>::parse(Node::plain("+12")), 12);
  EXPECT_EQ(ConfigType<std::int64_t>::parse(Node::plain("100.0")), 100);
  EXPECT_EQ(ConfigType<std::int64_t>::parse(Node::plain("-9223372036854775808")), INT64_MIN);
  for (const auto* text :
       {"3abc", "1.5", "9223372036854775808", "1e17", "inf", "nan", "+-5", "true", "1e-1"}) {
    EXPECT_THROW(ConfigType<std::int64_t>::parse(Node::plain(text)), ValueProblem) << text;
  }
}

TEST(ConfigType, ReadsTruthValuesAsYaml11) {
  for (const auto* text : {"true", "Yes", "ON"}) EXPECT_TRUE(ConfigType<bool>::parse(Node::plain(text)));
  for (const auto* text : {"FALSE", "no", "Off"}) EXPECT_FALSE(ConfigType<bool>::parse(Node::plain(text)));
  for (const auto* text : {"1", "0", "maybe", "y"}) {
    EXPECT_THROW(ConfigType<bool>::parse(Node::plain(text)), ValueProblem);
  }
  EXPECT_THROW(ConfigType<bool>::parse(Node::string("true")), ValueProblem);
}

TEST(Schema, ReadsWhatIsGivenAndKeepsTheRest) {
  TrainingOptions options;
  Schema schema;
  options.declare(schema);
  Node map;
  map.set("epochs", Node::plain("1e4"));
  map.set("clip", Node::plain("2"));
  map.set("betas", Node::list({Node::plain("0"), Node::plain("1")}));
  map.set("schedule", Node::map()).set("kind", Node::plain("log"));
  Node phase;
  phase.set("points", Node::plain("3"));
  map.set("phases", Node::list({phase, Node::map()}));
  Reading reading;
  schema.read(map, "training", reading);
  EXPECT_TRUE(reading.problems.empty());
  EXPECT_EQ(options.epochs, 10000);
  EXPECT_EQ(options.lr, 1e-3);
  EXPECT_EQ(options.clip, 2.0);
  EXPECT_EQ(options.betas, (std::vector<double>{0, 1}));
  EXPECT_EQ(options.schedule.kind, "log");
  EXPECT_EQ(options.schedule.points, 200);
  ASSERT_EQ(options.phases.size(), 2u);
  EXPECT_EQ(options.phases[0].points, 3);
  EXPECT_EQ(options.phases[1].points, 200);
  Node none;
  none.set("clip", Node::plain("None"));
  schema.read(none, "training", reading);
  EXPECT_TRUE(reading.problems.empty());
  EXPECT_EQ(options.clip, std::nullopt);
}

TEST(Schema, SaysWhatIsWrongWithAValue) {
  const std::string place = "a.yaml:7:3: training.";
  EXPECT_EQ(problem_with("epochs", Node::plain("abc")), place + "epochs: expected an integer, got 'abc'");
  EXPECT_EQ(problem_with("epochs", Node::string("5")),
            place + "epochs: expected an integer, got the text '5', remove the quotes");
  EXPECT_EQ(problem_with("epochs", Node()), place + "epochs: expected an integer, got nothing");
  EXPECT_EQ(problem_with("epochs", Node::plain("-1")), place + "epochs: -1 is out of range (must be >= 0)");
  EXPECT_EQ(problem_with("lr", Node::plain("0")), place + "lr: 0 is out of range (must be > 0)");
  EXPECT_EQ(problem_with("lr", Node::plain("nan")), place + "lr: nan is not accepted (must be finite)");
  EXPECT_EQ(problem_with("lr", Node::plain("inf")), place + "lr: inf is not accepted (must be finite)");
  EXPECT_EQ(problem_with("lr", Node::list()), place + "lr: expected a number, got a list");
  EXPECT_EQ(
      problem_with("optimizer", Node::plain("adamq")),
      place + "optimizer: unknown choice 'adamq' (must be one of sgd, adam, adamw), did you mean adam?");
  EXPECT_EQ(problem_with("betas", Node::plain("0.9")),
            place + "betas: expected a list, got '0.9', write [0.9]");
  EXPECT_EQ(problem_with("betas", Node::list({Node::plain("1")})),
            place + "betas: the list has 1 value (must have 2 values)");
  EXPECT_EQ(problem_with("betas", Node::list({Node::plain("1"), at(Node::plain("1.5"), 9)})),
            "a.yaml:9:3: training.betas[1]: 1.5 is out of range (must be 0 to 1)");
  EXPECT_EQ(problem_with("schedule", Node::plain("log")),
            place + "schedule: expected a map of keys, got 'log'");
  EXPECT_EQ(problem_with("shuffle", Node::plain("2")), place + "shuffle: expected true or false, got '2'");
  EXPECT_EQ(problem_with("note", Node()),
            place + "note: expected text, got nothing, write '' for an empty text");
  EXPECT_EQ(problem_with("epoch", Node::plain("2")),
            place + "epoch: unknown key, did you mean training.epochs?");
}

TEST(Schema, AFailedValueLeavesTheFieldAlone) {
  TrainingOptions options;
  Schema schema;
  options.declare(schema);
  Node map;
  map.set("betas", Node::list({Node::plain("0.5"), Node::plain("x")}));
  map.set("clip", Node::plain("-1"));
  Reading reading;
  schema.read(map, "training", reading);
  EXPECT_EQ(reading.problems.all().size(), 2u);
  EXPECT_EQ(options.betas, (std::vector<double>{0.9, 0.999}));
  EXPECT_EQ(options.clip, std::nullopt);
}

TEST(Schema, RefusesAKeyDeclaredTwice) {
  Schema schema;
  std::int64_t field = 0;
  schema.add("a", field, "first");
  EXPECT_THROW(schema.add("a", field, "second"), InternalError);
}

TEST(Schema, RefusesLimitsThatATypeDoesNotHave) {
  bool flag = false;
  std::int64_t count = 1;
  std::string name = "x";
  Schema schema;
  schema.add("flag", flag, "bounded").at_least(0);
  schema.add("count", count, "chosen").one_of({"1"});
  schema.add("name", name, "bounded").above(0);
  for (const auto& key : schema.keys()) {
    Reading reading;
    EXPECT_THROW(key.read(key.format(), key.name(), reading), InternalError) << key.name();
  }
}

TEST(Schema, AMissingRequiredKeyIsAProblemOfItsMap) {
  Schema schema;
  std::string name;
  schema.add("name", name, "which experiment").required();
  Reading reading;
  schema.read(at(Node::map(), 4), "experiment", reading);
  ASSERT_EQ(reading.problems.all().size(), 1u);
  EXPECT_EQ(reading.problems.all()[0].text(), "a.yaml:4:3: experiment.name: is missing (it has no default)");
  std::vector<KeyRow> rows;
  schema.append_rows("experiment", rows);
  EXPECT_EQ(rows.at(0).default_text, "required");
}

TEST(Schema, DocumentsEveryKeyWithTheDefaultItHadWhenDeclared) {
  TrainingOptions options;
  Schemas schemas;
  options.declare(schemas.section("training"));
  options.epochs = 5;
  const auto rows = schemas.rows();
  ASSERT_EQ(rows.size(), 13u);
  EXPECT_EQ(rows[0].path, "training.epochs");
  EXPECT_EQ(rows[0].type, "integer");
  EXPECT_EQ(rows[0].unit, "epoch");
  EXPECT_EQ(rows[0].default_text, "1000");
  EXPECT_EQ(rows[0].range, ">= 0");
  EXPECT_EQ(rows[0].meaning, "passes over the training set");
  EXPECT_EQ(rows[2].range, "sgd | adam | adamw");
  EXPECT_EQ(rows[3].type, "list of number");
  EXPECT_EQ(rows[3].default_text, "[0.9, 0.999]");
  EXPECT_EQ(rows[3].range, "2 values, each 0 to 1");
  EXPECT_EQ(rows[4].type, "number | none");
  EXPECT_EQ(rows[4].default_text, "none");
  EXPECT_EQ(rows[6].path, "training.schedule.kind");
  EXPECT_EQ(rows[9].path, "training.phases[].kind");
  EXPECT_EQ(markdown_table(std::array{rows[0], rows[12]}),
            "| key | type | unit | default | range | meaning |\n|---|---|---|---|---|---|\n"
            "| `training.epochs` | integer | epoch | `1000` | >= 0 | passes over the training set |\n"
            "| `training.note` | text |  | `\"a b\"` |  | free text \\| any |\n");
}

TEST(Schema, KnowsWhatIsScientificAtBelowAndAroundAKey) {
  TrainingOptions options;
  Schemas schemas;
  options.declare(schemas.section("training"));
  const auto rows = schemas.rows();
  EXPECT_TRUE(is_scientific("training.lr", rows));
  EXPECT_TRUE(is_scientific("training", rows));
  EXPECT_TRUE(is_scientific("training.schedule.kind", rows));
  EXPECT_TRUE(is_scientific("nobody.knows", rows));
  EXPECT_FALSE(is_scientific("training.note", rows));
  EXPECT_FALSE(is_scientific("training.note.below", rows));
}

TEST(Problems, AreToldOnceInTheOrderOfTheDocument) {
  Node root;
  root.set("training", Node::map()).set("lr", at(Node::plain("1"), 9));
  root.find("training")->set("epochs", Node::plain("0")).mark = {"override 'training.epochs=0'", 0, 0};
  Problems problems(root);
  EXPECT_NO_THROW(problems.throw_if_any());
  problems.add("training.epochs", "too few", "the slingshot needs many", "set it to 10000");
  problems.add("training.width", "too small");
  problems.add("training.lr", "too large", "", "halve it");
  problems.add(Mark{"a.yaml", 2, 1}, "odd");
  try {
    problems.throw_if_any();
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(
        error.what(),
        "4 problems in the configuration:\n"
        "a.yaml:2:1: odd\n"
        "a.yaml:9:3: training.lr: too large, halve it\n"
        "override 'training.epochs=0': training.epochs: too few (the slingshot needs many), set it to 10000\n"
        "default: training.width: too small");
  }
}

}  // namespace
}  // namespace grokscope
