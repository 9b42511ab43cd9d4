// Every way in which a file can fail to be a configuration, with its place.
#include "config/document.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"

namespace grokscope {
namespace {

std::string error_of(const std::string& text) {
  try {
    parse_document(text, "a.yaml");
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

std::string place_and_problem(const std::string& text) {
  const auto whole = error_of(text);
  return whole.substr(0, whole.find(" ("));
}

class Folder : public testing::Test {
 protected:
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("grokscope_document_test_" + std::to_string(::getpid()));
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder / name, std::ios::binary) << text;
    return (folder / name).string();
  }
  static std::string load_error(const std::string& path) {
    try {
      load_document(path);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST(Document, MarksEveryKeyAndValue) {
  const auto root =
      parse_document("training:\n  lr: 1e-3\n  é: [a, \"b\"]\n  none:\n  tilde: ~\nlast: |\n  x\n", "a.yaml");
  ASSERT_EQ(root.entries.size(), 2u);
  EXPECT_EQ(root.mark.text(), "a.yaml:1:1");
  EXPECT_EQ(root.entries[0].mark.text(), "a.yaml:1:1");
  EXPECT_EQ(find_path(root, "training.lr")->mark.text(), "a.yaml:2:7");
  EXPECT_EQ(find_path(root, "training.é[1]")->mark.text(), "a.yaml:3:10");
  EXPECT_EQ(find_path(root, "training.none")->mark.text(), "a.yaml:4:3");
  EXPECT_EQ(find_path(root, "training.tilde")->mark.text(), "a.yaml:5:10");
  EXPECT_TRUE(find_path(root, "training.none")->is_null());
  EXPECT_TRUE(find_path(root, "training.tilde")->is_null());
  EXPECT_FALSE(find_path(root, "training.é[0]")->quoted);
  EXPECT_TRUE(find_path(root, "training.é[1]")->quoted);
  EXPECT_EQ(find_path(root, "last")->scalar, "x\n");
  EXPECT_TRUE(find_path(root, "last")->quoted);
}

TEST(Document, ReadsWindowsLinesAndAByteOrderMark) {
  const auto root = parse_document(
      "\xef\xbb\xbf"
      "a: 1\r\nb: 'x'\r\n",
      "a.yaml");
  EXPECT_EQ(find_path(root, "a")->scalar, "1");
  EXPECT_EQ(find_path(root, "b")->scalar, "x");
  EXPECT_EQ(find_path(root, "a")->mark.text(), "a.yaml:1:4");
  EXPECT_EQ(find_path(root, "b")->mark.text(), "a.yaml:2:4");
}

TEST(Document, KeepsAnchorsAndMergesWithTheirFirstPlace) {
  const auto root = parse_document(
      "base: &b {lr: 1, wd: 2}\nother: &o {wd: 3, x: 4}\nrun:\n  lr: 5\n  <<: [*b, *o]\ncopy: *b\n",
      "a.yaml");
  EXPECT_EQ(to_line(*find_path(root, "run")), "{lr: 5, wd: 2, x: 4}");
  EXPECT_EQ(to_line(*find_path(root, "copy")), "{lr: 1, wd: 2}");
  EXPECT_EQ(find_path(root, "run.wd")->mark.text(), "a.yaml:1:22");
  EXPECT_EQ(place_and_problem("a:\n  <<: 5\n"), "a.yaml:2:3: << holds '5'");
}

TEST(Document, RefusesCyclesAndBombs) {
  EXPECT_EQ(place_and_problem("a: &x\n  b: [*x]\n"), "a.yaml:2:7: the value contains itself");
  std::string bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 9; ++i) {
    const auto before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 1; k < 10; ++k) bomb += ", " + before;
    bomb += "]\n";
  }
  EXPECT_NE(error_of(bomb).find(": the document is too large (100000 values are accepted)"),
            std::string::npos);
  EXPECT_NE(
      error_of("a: " + std::string(150, '[') + std::string(150, ']')).find("a.yaml:1:104: nested too deeply"),
      std::string::npos);
  EXPECT_NE(error_of(std::string(100000, '[')).find(": nested too deeply"), std::string::npos);
}

TEST(Document, RefusesKeysGivenTwice) {
  EXPECT_EQ(error_of("training:\n  lr: 1\n  wd: 2\n  lr: 3\n"),
            "a.yaml:4:3: training.lr: the key is given twice (first in line 2), remove one");
  EXPECT_EQ(error_of("a: 1\nb: 2\na: 3\nb: 4\n"),
            "2 problems in the configuration:\n"
            "a.yaml:3:1: a: the key is given twice (first in line 1), remove one\n"
            "a.yaml:4:1: b: the key is given twice (first in line 2), remove one");
  EXPECT_EQ(error_of("x:\n  - {a: 1}\n  - {a: 1, a: 2}\n"),
            "a.yaml:3:12: x[1].a: the key is given twice (first in line 3), remove one");
}

TEST(Document, RefusesKeysThatAreNotText) {
  EXPECT_EQ(error_of("a:\n  5: 1\n"), "a.yaml:2:3: a: the key is '5' (keys are text), write it in quotes");
  EXPECT_EQ(place_and_problem("on: 1\n"), "a.yaml:1:1: the key is 'on'");
  EXPECT_EQ(place_and_problem("~: 1\n"), "a.yaml:1:1: the key is nothing");
  EXPECT_EQ(place_and_problem("? [1, 2]\n: 3\n"), "a.yaml:1:3: the key is a list");
  EXPECT_EQ(find_path(parse_document("\"5\": 1\nn: 2\n", "a.yaml"), "5")->scalar, "1");
}

TEST(Document, SaysWhereTheSyntaxEnds) {
  EXPECT_EQ(
      error_of("a: 1\nb: c: d\n"),
      "a.yaml:2:5: not valid YAML (illegal map value), check the indentation, colons, quotes and brackets "
      "here and in the line above");
  EXPECT_EQ(place_and_problem("a: [1, 2\nb: 3\n"), "a.yaml:2:2: not valid YAML");
  EXPECT_EQ(place_and_problem("a: *nobody\n"), "a.yaml:1:4: not valid YAML");
  EXPECT_EQ(error_of("a:\n\tb: 1\n"),
            "a.yaml:2:3: not valid YAML (illegal map value), indent with spaces instead of tabs");
  EXPECT_EQ(place_and_problem("a: @x\n"), "a.yaml:1:4: not valid YAML");
  EXPECT_EQ(place_and_problem("a: !custom 5\n"), "a.yaml:1:4: unknown tag '!custom'");
}

TEST(Document, SeesQuotesThatNeverClose) {
  EXPECT_EQ(error_of("a: 1\nb: \"never\nc: 2\n"), "a.yaml:2:4: the quoted text never ends, close it with \"");
  EXPECT_EQ(error_of("b: 'it''s\n"), "a.yaml:1:4: the quoted text never ends, close it with '");
  EXPECT_EQ(error_of("b: \"a\\\"\n"), "a.yaml:1:4: the quoted text never ends, close it with \"");
  EXPECT_EQ(find_path(parse_document("b: 'it''s'\nc: \"a\\\"\\\\\"\n", "a.yaml"), "b")->scalar, "it's");
}

TEST(Document, RefusesWhatIsNoMap) {
  for (const auto* text : {"", "# only a comment\n", "\n\n", "---\n", "~"}) {
    EXPECT_EQ(place_and_problem(text), "a.yaml: the file is empty") << text;
  }
  EXPECT_EQ(place_and_problem("- a\n- b\n"), "a.yaml:1:1: the top level is a list");
  EXPECT_EQ(place_and_problem("\nhello\n"), "a.yaml:2:1: the top level is 'hello'");
  EXPECT_EQ(place_and_problem("a: 1\n---\nb: 2\n"), "a.yaml:3:1: a second document begins");
}

TEST(Document, RefusesBytesThatAreNoText) {
  using namespace std::string_literals;
  EXPECT_EQ(place_and_problem("a: 1\nb: \0x\n"s), "a.yaml:2:4: the byte 0x00 is not text");
  EXPECT_EQ(place_and_problem("\x89HDF\r\n"), "a.yaml:1:1: the byte 0x89 is not text");
  EXPECT_EQ(place_and_problem("a: caf\xe9\n"), "a.yaml:1:7: the byte 0xe9 is not text");
  EXPECT_EQ(place_and_problem("a: x\xe2\x82"), "a.yaml:1:5: the byte 0xe2 is not text");
  EXPECT_EQ(find_path(parse_document("a: \xe2\x82\xac\n", "a.yaml"), "a")->scalar, "\xe2\x82\xac");
}

TEST_F(Folder, NamesTheNearestFileForOneThatIsMissing) {
  write("09_levi_linear.yaml", "a: 1\n");
  write("notes.txt", "a: 1\n");
  const auto base = folder.string();
  const auto found = "did you mean " + base + "/09_levi_linear.yaml?";
  EXPECT_EQ(load_error(base + "/09_levy_linear.yaml"), base + "/09_levy_linear.yaml: no such file, " + found);
  EXPECT_EQ(load_error(base + "/09_levi_linear"), base + "/09_levi_linear: no such file, " + found);
  EXPECT_EQ(load_error(base + "/x.yaml"),
            base + "/x.yaml: no such file, the folder has 1 .yaml files, none of a similar name");
  EXPECT_EQ(load_error(base + "/nowhere/x.yaml"),
            base + "/nowhere/x.yaml: no such file, the folder '" + base + "/nowhere' does not exist either");
}

TEST_F(Folder, RefusesDirectoriesAndHugeFiles) {
  EXPECT_EQ(load_error(folder.string()),
            folder.string() + ": is a directory (a configuration is one YAML file), give the file itself");
  const auto huge = write("huge.yaml", "a: 1\n");
  std::filesystem::resize_file(huge, 20'000'000);
  EXPECT_EQ(load_error(huge),
            huge + ": holds 20 MB (a configuration has at most 16 MB), was a data file meant?");
}

TEST_F(Folder, LoadsAFileWithItsNameInTheMarks) {
  const auto path = write("a.yaml", "a:\n  b: 1\n");
  EXPECT_EQ(find_path(load_document(path), "a.b")->mark.text(), path + ":2:6");
}

}  // namespace
}  // namespace grokscope
