// Is a claim judged by the right number: of one run, over seeds, and between two members of a study?
#include "run/expected.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "config/assign.hpp"
#include "config/document.hpp"
#include "io/hdf5.hpp"
#include "io/temporary_folder.hpp"

namespace grokscope {
namespace {

/// Five evaluations of a run whose test accuracy passes .95 at `t_gen`, or never where that is NaN.
void write_run(const std::filesystem::path& path, double t_gen) {
  auto file = hdf5::create_file(path);
  std::vector<std::int64_t> step;
  std::vector<double> acc, loss;
  for (std::int64_t i = 0; i < 5; ++i) {
    step.push_back(10 * i);
    acc.push_back(static_cast<double>(10 * i) >= t_gen ? 1 : 0.1);
    loss.push_back(1.0 / static_cast<double>(1 + i));
  }
  for (const auto* axis : {"epoch", "step"})  // of the tracked moments, here as many as there are evaluations
    hdf5::write_array(file, axis, NamedArray::from<std::int64_t>("", {5}, step));
  hdf5::write_array(file, "training/step", NamedArray::from<std::int64_t>("", {5}, step));
  hdf5::write_array(file, "training/epoch", NamedArray::from<std::int64_t>("", {5}, step));
  hdf5::write_array(file, "training/test_acc", NamedArray::from<double>("", {5}, acc));
  hdf5::write_array(file, "training/test_loss", NamedArray::from<double>("", {5}, loss));
  hdf5::write_array(file, "results/per_class", NamedArray::from<double>("", {5}, loss));
  hdf5::write_array(file, "results/tau", NamedArray::scalar<double>("", 3));
  hdf5::write_array(file, "results/folder/inside", NamedArray::scalar<double>("", 3));
  hdf5::write_array(file, "events/t_gen", NamedArray::scalar<double>("", t_gen));
  hdf5::write_array(file, "events/t_gen_step", NamedArray::scalar<double>("", t_gen));
  file.close();
}

class ExpectedTest : public testing::Test {
 protected:
  void SetUp() override {
    write("dense,seed=0", 40);
    write("dense,seed=1", 30);
    write("dense,seed=2", 20);
    write("ticket,seed=0", 10);
    write("ticket,seed=1", 10);
    write("ticket,seed=2", kMissing);
    write("alone", 20);
    members_.emplace_back("lost", 0, folder_.path() / "lost.h5");
  }
  void TearDown() override {
    folder_.remove(world_);
    world_.free();
  }

  void write(const std::string& name, double t_gen) {
    const auto seed = name.find("seed=") == std::string::npos ? 0 : std::stoll(name.substr(name.size() - 1));
    members_.emplace_back(name, seed, folder_.path() / (name + ".h5"));
    write_run(std::get<2>(members_.back()), t_gen);
  }

  std::vector<Place> places(const std::string& quantity) const {
    std::vector<Place> found;
    if (!quantity.starts_with("members/")) return found;
    const auto rest = quantity.substr(8);
    const auto name = rest.substr(0, rest.find('/'));
    for (const auto& [member, seed, path] : members_) {
      if (name == "*" || member == name || member.substr(0, member.find(',')) == name) {
        found.push_back({path, rest.substr(rest.find('/') + 1), member, seed});
      }
    }
    return found;
  }

  static std::vector<Expectation> parse(const std::string& text) {
    std::vector<Expectation> expected;
    Schemas schemas;
    schemas.section("").add("expected", expected, "");
    assign(parse_document("expected: [" + text + "]", "test.yaml"), schemas);
    return expected;
  }

  Verdict judge(const std::string& text) {
    const auto expected = parse(text);
    const FindPlaces find = [&](const auto& quantity) { return places(quantity); };
    Problems problems;
    check_expectations(expected, find, problems);
    problems.throw_if_any();
    return compare(expected, find).front();
  }

  std::string refusal(const std::string& text, bool in_study = true) {
    Problems problems;
    check_expectations(parse(text),
                       in_study ? FindPlaces([&](const auto& q) { return places(q); }) : FindPlaces(),
                       problems);
    return problems.empty() ? "" : problems.all().front().text();
  }

  Communicator world_ = Communicator::duplicate(MPI_COMM_WORLD);
  TemporaryFolder folder_{world_};
  std::vector<std::tuple<std::string, std::int64_t, std::filesystem::path>> members_;
};

TEST_F(ExpectedTest, OneMember) {
  EXPECT_EQ(judge("{quantity: members/alone/events/t_gen, is: below, value: 21}").number, 20);
  EXPECT_TRUE(judge("{quantity: members/alone/events/t_gen, is: below, value: 21}").met);
  EXPECT_FALSE(judge("{quantity: members/alone/events/t_gen, is: below, value: 20}").met);
  EXPECT_EQ(judge("{quantity: 'members/dense,seed=1/events/t_gen', is: above, value: 1}").number, 30);
  EXPECT_EQ(judge("{quantity: members/alone/training/test_loss, is: above, value: 0}").number, 0.2);
  EXPECT_EQ(judge("{quantity: members/alone/training/test_loss, take: max, is: above, value: 0}").number, 1);
  EXPECT_EQ(judge("{quantity: members/alone/training/test_loss, at_step: 10, is: above, value: 0}").number,
            0.5);
}

TEST_F(ExpectedTest, OverSeeds) {
  const auto number = [&](const std::string& take) {
    return judge("{quantity: members/dense/training/test_acc, first: {above: 0.95}, over: seeds, take: " +
                 take + ", is: above, value: 0}")
        .number;
  };
  EXPECT_EQ(number("median"), 30);
  EXPECT_EQ(number("mean"), 30);
  EXPECT_EQ(number("min"), 20);
  EXPECT_EQ(number("max"), 40);
  EXPECT_EQ(number("count"), 3);
  EXPECT_EQ(judge("{quantity: members/dense/events/t_gen, over: seeds, is: within, value: 31, rel_tol: 0.05}")
                .number,
            30);
}

TEST_F(ExpectedTest, ASeedWithoutAValueSpoilsAllButTheCount) {
  const auto verdict = judge("{quantity: members/ticket/events/t_gen, over: seeds, is: below, value: 1000}");
  EXPECT_FALSE(verdict.met);
  EXPECT_EQ(verdict.found, "missing in 1 of 3 seeds");
  EXPECT_EQ(
      judge("{quantity: members/ticket/events/t_gen, over: seeds, take: count, is: above, value: 1}").number,
      2);
}

TEST_F(ExpectedTest, ATimeThatNeverComesIsLaterThanAllOthers) {
  const auto found = [&](const std::string& name, const std::string& take) {
    return judge("{quantity: members/" + name +
                 "/training/test_acc, first: {above: 0.95}, over: seeds, take: " + take +
                 ", missing: never, is: within, value: [5, 15]}");
  };
  write("mixed,seed=0", 10);
  write("mixed,seed=1", 20);
  write("mixed,seed=2", kMissing);
  EXPECT_EQ(found("mixed", "median").number, 20);
  EXPECT_EQ(found("mixed", "min").number, 10);
  EXPECT_TRUE(found("mixed", "min").met);
  EXPECT_EQ(found("mixed", "max").found, "never");
  EXPECT_FALSE(found("mixed", "max").met);
  write("late,seed=0", 10);
  write("late,seed=1", kMissing);
  write("late,seed=2", kMissing);
  EXPECT_EQ(found("late", "median").found, "never");
  EXPECT_FALSE(found("late", "median").met);
}

TEST_F(ExpectedTest, CountsWhatLiesBetweenBounds) {
  const auto number = [&](const std::string& bounds) {
    return judge("{quantity: members/*/events/t_gen, over: members, take: count, where: {" + bounds +
                 "}, is: above, value: 0}")
        .number;
  };
  std::erase_if(members_, [](const auto& member) { return std::get<0>(member) == "lost"; });
  EXPECT_EQ(number("above: 10"), 4);  // 40, 30, 20, 20 of these, 10, 10 and one that never comes
  EXPECT_EQ(number("below: 20"), 2);
  EXPECT_EQ(number("above: 10, below: 40"), 3);
  const auto verdict = judge(
      "{quantity: members/dense/events/t_gen, over: seeds, take: count, where: {above: 20}, is: within, "
      "value: [2, 2]}");
  EXPECT_EQ(verdict.what, "count over seeds of members/dense/events/t_gen > 20");
  EXPECT_TRUE(verdict.met);
}

TEST_F(ExpectedTest, TellsWhatThePaperSays) {
  EXPECT_EQ(judge("{quantity: members/alone/events/t_gen, is: below, value: 1, paper: about 20}").paper,
            "about 20");
}

TEST_F(ExpectedTest, NeverHoldsForEverySeed) {
  EXPECT_TRUE(judge("{quantity: 'members/ticket,seed=2/events/t_gen', is: never}").met);
  EXPECT_FALSE(judge("{quantity: members/ticket/events/t_gen, over: seeds, is: never}").met);
  EXPECT_FALSE(judge("{quantity: members/alone/events/t_gen, is: never}").met);
  EXPECT_TRUE(
      judge("{quantity: members/ticket/training/test_loss, first: {below: 0.1}, over: seeds, is: never}")
          .met);
}

TEST_F(ExpectedTest, RatiosAreTakenSeedBySeed) {
  write("fast,seed=2", 10);  // in another order than dense
  write("fast,seed=0", 20);
  write("fast,seed=1", 30);
  const auto mean = judge(
      "{quantity: members/fast/events/t_gen, divided_by: members/dense/events/t_gen, over: seeds, "
      "take: mean, is: below, value: 1}");
  EXPECT_NEAR(mean.number, (10.0 / 20 + 20.0 / 40 + 30.0 / 30) / 3, 1e-15);
  EXPECT_TRUE(mean.met);
  const auto by_one = judge(
      "{quantity: members/dense/events/t_gen, divided_by: members/alone/events/t_gen, over: seeds, "
      "take: max, is: above, value: 1}");
  EXPECT_EQ(by_one.number, 2);
}

TEST_F(ExpectedTest, ATimeOverOneThatNeverComesIsNoShareOfIt) {
  write("quick,seed=0", 10);
  write("quick,seed=1", 15);
  write("quick,seed=2", kMissing);
  write("slow,seed=0", 20);
  write("slow,seed=1", kMissing);
  write("slow,seed=2", kMissing);
  const auto ratio = [&](const std::string& take) {
    return judge("{quantity: members/quick/events/t_gen, divided_by: members/slow/events/t_gen, over: seeds, missing: never, take: " +
                 take + ", is: below, value: 1}");
  };
  EXPECT_EQ(ratio("min").number, 0);
  EXPECT_EQ(ratio("median").number, 0.5);
  EXPECT_EQ(ratio("max").found, "never");  // never over never
}

TEST_F(ExpectedTest, AMemberThatIsNotDoneCannotKeepItsPromises) {
  const auto unfinished = [&](const std::string& quantity) {
    auto found = places(quantity);
    for (auto& place : found) place.problem = place.member + " is failed";
    return found;
  };
  const auto verdict = compare(parse("{quantity: members/alone/events/t_gen, is: never}"), unfinished).front();
  EXPECT_EQ(verdict.found, "alone is failed");
  EXPECT_FALSE(verdict.met);
}

TEST_F(ExpectedTest, ResultsThatAreNotThere) {
  EXPECT_EQ(judge("{quantity: members/lost/events/t_gen, is: never}").found, "no results in lost");
  EXPECT_FALSE(judge("{quantity: members/lost/events/t_gen, is: never}").met);
  EXPECT_EQ(judge("{quantity: members/alone/results/tua, is: never}").found, "no such dataset of numbers in alone");
  EXPECT_EQ(judge("{quantity: members/alone/results/folder, is: above, value: 1}").found, "no such dataset of numbers in alone");
}

TEST_F(ExpectedTest, OfWhatIsNoSeriesNothingIsSaidAboutSteps) {
  for (const std::string quantity : {"results/per_class", "results/tau", "events/t_gen"}) {
    for (const std::string claim : {"first: {above: 9}, is: never", "at_step: 0, is: above, value: 0",
                                    "at_first_of: t_gen, is: above, value: 0"}) {
      const auto verdict = judge("{quantity: members/alone/" + quantity + ", " + claim + "}");
      EXPECT_EQ(verdict.found, quantity + " has no step axis in alone") << claim;
      EXPECT_FALSE(verdict.met) << claim;
    }
  }
  EXPECT_EQ(judge("{quantity: members/alone/results/per_class, take: max, is: above, value: 0}").number, 1);
}

/// dense ends at a test accuracy of 1 in every seed; rising rises and falls in one of them.
TEST_F(ExpectedTest, EachTakesTheRunBeforeTheSeeds) {
  write("rising,seed=0", kMissing);
  write("rising,seed=1", kMissing);
  {
    auto file = hdf5::open_file_for_update(folder_.path() / "rising,seed=1.h5");
    hdf5::unlink(file, "training/test_acc");
    hdf5::write_array(file, "training/test_acc",
                      NamedArray::from<double>("", {5}, std::vector<double>{0.1, 0.7, 0.9, 0.2, 0.1}));
    file.close();
  }
  const std::string rising = "{quantity: members/rising/training/test_acc, over: seeds, take: max, ";
  EXPECT_EQ(judge(rising + "is: below, value: 0.2}").number, 0.1);  // of the last values
  const auto all_the_time = judge(rising + "each: max, is: below, value: 0.2}");
  EXPECT_EQ(all_the_time.number, 0.9);
  EXPECT_FALSE(all_the_time.met);
  EXPECT_EQ(all_the_time.what, "max over seeds of max of members/rising/training/test_acc");
  EXPECT_EQ(judge("{quantity: members/rising/training/test_loss, over: seeds, each: min, is: above, value: 0}")
                .number,
            0.2);
  EXPECT_EQ(judge("{quantity: members/*/training/test_loss, over: members, take: min, each: max, is: above, "
                  "value: 0}")
                .found,
            "no results in lost");
}

TEST_F(ExpectedTest, SeedsStandBesideTheSource) {
  const auto line = [&](const std::string& text) {
    return verdict_line(judge("{quantity: members/alone/events/t_gen, is: below, value: 21, " + text + "}"));
  };
  EXPECT_TRUE(line("source: here, seeds: 13").ends_with(": 20 (here; seeds: 13)"));
  EXPECT_TRUE(line("source: here, seeds: [0, 1, 2]").ends_with(": 20 (here; seeds: 0, 1, 2)"));
  EXPECT_TRUE(line("source: here, why: two ranks differ").ends_with(": 20 (here; why: two ranks differ)"));
  EXPECT_TRUE(line("seeds: 1, why: luck").ends_with(": 20 (seeds: 1; why: luck)"));
  EXPECT_TRUE(line("seeds: three of ten").ends_with(": 20 (seeds: three of ten)"));
  EXPECT_TRUE(line("source: here").ends_with(": 20 (here)"));
  for (const std::string text : {"seeds: {a: 1}", "seeds: [[1], [2]]", "seed: 1"}) EXPECT_THROW(line(text), UserError);
}

TEST_F(ExpectedTest, SeedsOfAResolvedConfigurationReadBackAsTheyWere) {
  for (const std::string text : {"13", "[0, 1]", "three", "''"}) {
    const auto note = ConfigType<SeedNote>::parse(parse_value(text, "test"));
    EXPECT_EQ(ConfigType<SeedNote>::parse(ConfigType<SeedNote>::format(note)).text, note.text);
  }
}

TEST_F(ExpectedTest, MisspeltDatasetsAreRefusedBeforehand) {
  const auto told = [&](const std::string& quantity, bool in_study) {
    return refusal("{quantity: " + quantity + ", is: below, value: 1}", in_study);
  };
  for (const auto& [wrong, right] : {std::pair{"trainig/test_acc", "training/test_acc"},
                                     std::pair{"training/tets_acc", "training/test_acc"},
                                     std::pair{"test_ac", "test_acc"},
                                     std::pair{"events/t_men", "events/t_mem"},
                                     std::pair{"gop_trase", "gop_trace"},
                                     std::pair{"observable/rqi", "observables/rqi"},
                                     std::pair{"result/phase", "results/phase"}}) {
    for (const bool in_study : {false, true}) {
      const auto text = told((in_study ? "members/alone/" : "") + std::string(wrong), in_study);
      EXPECT_NE(text.find(std::string("'") + wrong + "' is in no metrics.h5, did you mean " + right + "?"),
                std::string::npos)
          << text;
    }
  }
  EXPECT_NE(told("accuracy_of_it_all", false).find("observables/ and results/"), std::string::npos);
  EXPECT_NE(told("training/", false).find("is in no metrics.h5"), std::string::npos);
  for (const std::string right : {"gop_stable_rank", "eigenvalues_top_k", "events/t_gen", "training/weight_norm",
                                  "observables/a", "results/b", "layers/a.b/gop_trace", "probes/mine/x",
                                  "definitions/mean/gop_trace", "checks/trace_residual"}) {
    EXPECT_EQ(told(right, false), "") << right;
  }
  EXPECT_NE(refusal("{quantity: test_loss, divided_by: tran_loss, is: below, value: 1}", false).find("train_loss"),
            std::string::npos);
}

TEST_F(ExpectedTest, RefusesWhatClaimsNothing) {
  EXPECT_NE(
      refusal("{quantity: members/dense/events/t_gen, is: below, value: 1}").find("once for each of 3 seeds"),
      std::string::npos);
  EXPECT_NE(
      refusal("{quantity: members/dens/events/t_gen, is: below, value: 1}").find("of a member of this study"),
      std::string::npos);
  EXPECT_NE(refusal("{quantity: events/t_gen, is: below, value: 1}").find("of a member of this study"),
            std::string::npos);
  EXPECT_NE(
      refusal("{quantity: members/alone/events/t_gen, divided_by: members/alone/events/t_gen, is: never}")
          .find("ratio"),
      std::string::npos);
  EXPECT_NE(refusal("{quantity: members/alone/events/t_gen, take: median, is: below, value: 1}")
                .find("over: seeds"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: members/dense/events/t_gen, over: seeds, take: last, is: below, value: 1}")
                .find("no last"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: events/t_gen, over: seeds, is: below, value: 1}", false)
                .find("one run has one seed"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: test_loss, is: within, value: 1}", false).find("needs 2 value(s)"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: members/*/events/t_gen, is: below, value: 1}").find("add over: members"),
            std::string::npos);
  EXPECT_NE(
      refusal("{quantity: members/*/events/t_gen, over: seeds, is: never}").find("not taken over seeds"),
      std::string::npos);
  EXPECT_NE(
      refusal("{quantity: members/dense/events/t_gen, over: seeds, where: {above: 1}, is: below, value: 1}")
          .find("only a count"),
      std::string::npos);
  EXPECT_NE(
      refusal(
          "{quantity: members/dense/events/t_gen, over: seeds, take: count, where: {}, is: below, value: 1}")
          .find("neither above nor below"),
      std::string::npos);
  EXPECT_NE(refusal("{quantity: members/dense/events/t_gen, over: seeds, take: mean, missing: never, is: "
                    "below, value: 1}")
                .find("for median, min and max"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: members/*/events/t_gen, divided_by: members/*/events/t_mem, over: members, "
                    "is: below, value: 1}")
                .find("no common seed"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: test_loss, each: max, is: below, value: 1}", false).find("there is one run"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: members/dense/training/test_loss, first: {below: 1}, over: seeds, each: max, is: "
                    "below, value: 1}")
                .find("have chosen a row"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: test_loss, at_step: 3, take: max, is: below, value: 1}", false)
                .find("have chosen a row"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: test_loss, at_step: 3, at_first_of: t_mem, is: below, value: 1}", false)
                .find("keep one of them"),
            std::string::npos);
  EXPECT_NE(refusal("{quantity: test_loss, first: {}, is: never}", false).find("neither above nor below"),
            std::string::npos);
  EXPECT_EQ(refusal("{quantity: test_loss, divided_by: train_loss, is: below, value: 1}", false), "");
}

}  // namespace
}  // namespace grokscope
