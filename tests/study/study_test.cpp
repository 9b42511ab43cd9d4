// Is every member of a study the run that it would be alone, and does a failing one harm nobody?
// On every number of ranks for each member that fits, with several groups at a time where there are ranks for
// them.
#include "study/study.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/all.hpp"
#include "io/column_file.hpp"
#include "io/temporary_folder.hpp"
#include "run/published_run.hpp"

namespace grokscope {
namespace {

constexpr auto* kBase = R"(
experiment: {name: 09_levi_linear}
data: {d_in: 20, n_train: 30}
training: {epochs: 40, optimizer: sgd, lr: 0.01, dtype: float64, log_interval: 1}
gop_tracking: {frequency: 5, top_k_eigen: 4}
computational_limits: {checkpoint_frequency: 10}
)";

class StudyTest : public testing::Test {
 protected:
  void SetUp() override { write_configuration(world_, folder_.path() / "base.yaml", kBase); }
  void TearDown() override {
    folder_.remove(world_);
    world_.free();
  }

  std::filesystem::path directory(const std::string& name) const { return folder_.path() / name; }

  StudyResult run(const std::string& name, const std::string& text) {
    const auto file = write_configuration(world_, folder_.path() / (name + ".yaml"), text);
    const std::vector<std::string> overrides{"storage.output_dir=" + directory(name).string()};
    const auto study = load_study(file, overrides, experiments_);
    SessionOptions options;
    options.verbosity = Verbosity::quiet;
    return run_study(world_, *study, options);
  }

  std::vector<std::string> texts(const std::string& name, const std::string& dataset) const {
    return hdf5::read_texts(hdf5::open_file(directory(name) / "study.h5"), dataset);
  }

  Communicator world_ = Communicator::duplicate(MPI_COMM_WORLD);
  TemporaryFolder folder_{world_};
  std::vector<Experiment> experiments_ = all_experiments();
};

TEST_F(StudyTest, ClaimsAboutAllMembers) {
  const auto result = run("all",
                          "study: {base: base.yaml, grid: {training.lr: [0.01, 0.02, 0.03]}}\n"
                          "expected: [{quantity: members/*/training/train_loss, over: members, take: count, "
                          "where: {above: 0}, is: within, value: [3, 3], paper: three rates}]");
  if (!world_.is_root()) return;
  ASSERT_EQ(result.verdicts.size(), 1U);
  EXPECT_TRUE(result.verdicts[0].met) << result.verdicts[0].found;
  EXPECT_EQ(result.verdicts[0].paper, "three rates");
}

/// Runs the study, and each of its members alone on the first `size` ranks.
TEST_F(StudyTest, EveryMemberIsTheRunThatItWouldBeAlone) {
  for (int size = 1; size <= world_.size(); ++size) {
    const auto name = "study_" + std::to_string(size);
    const auto result =
        run(name, "study: {base: base.yaml, seeds: [0, 1], ranks_per_member: " + std::to_string(size) +
                      ", members: [{name: slow}, {name: fast, overrides: [training.lr=0.03]}]}");
    EXPECT_EQ(result.problem, "");
    auto part = world_.split(world_.rank() < size ? 0 : 1);
    const std::pair<std::string, std::vector<std::string>> members[] = {
        {"slow,seed=0", {}},
        {"slow,seed=1", {"training.seed=1"}},
        {"fast,seed=0", {"training.lr=0.03"}},
        {"fast,seed=1", {"training.lr=0.03", "training.seed=1"}}};
    for (const auto& [member, overrides] : members) {
      const auto alone = folder_.path() / (name + "_alone") / member;
      if (world_.rank() < size)
        run_configuration(part, folder_.path() / "base.yaml", alone, overrides, experiments_);
      world_.on_root([&, &m = member] {
        const auto found = published(directory(name) / "members" / m);
        EXPECT_TRUE(found.contains("eigenvalues"));
        EXPECT_EQ(differences(published(alone), found), std::vector<std::string>()) << m << " on " << size;
      });
    }
    part.free();
  }
}

TEST_F(StudyTest, AFailingMemberSkipsItsFollowersOnly) {
  for (const int size : {1, world_.size()}) {
    const auto name = "failing_" + std::to_string(size);
    const auto result =
        run(name, "study: {base: base.yaml, ranks_per_member: " + std::to_string(size) + R"(, members: [
      {name: diverging, overrides: {training.lr: 1.0e+200}}, {name: follower, overrides: {training.seed: 1}, after: diverging},
      {name: sound, overrides: {training.seed: 2}}]})");
    world_.on_root([&, &name = name] {
      EXPECT_EQ(result.code, ExitCode::user);
      EXPECT_NE(result.problem.find("diverged"), std::string::npos) << result.problem;
      EXPECT_EQ(texts(name, "members/status"), (std::vector<std::string>{"failed", "skipped", "done"}));
      EXPECT_EQ(texts(name, "members/reason")[1], "it comes after diverging, which failed");
      EXPECT_FALSE(std::filesystem::exists(directory(name) / "members" / "follower"));
    });
  }
}

TEST_F(StudyTest, TheTableHoldsWhatTheMembersFound) {
  run("table", R"(
study: {base: base.yaml, ranks_per_member: 1, grid: {training.lr: [0.01, 0.02]}, seeds: [3, 4]}
training: {epochs: 300, generalised_at: 0.0}
)");
  world_.on_root([&] {
    const auto file = directory("table") / "study.h5";
    EXPECT_EQ(texts("table", "members/name"), (std::vector<std::string>{"lr=0.01,seed=3", "lr=0.01,seed=4",
                                                                        "lr=0.02,seed=3", "lr=0.02,seed=4"}));
    EXPECT_EQ(texts("table", "members/overrides/training.lr"),
              (std::vector<std::string>{"0.01", "0.01", "0.02", "0.02"}));
    EXPECT_EQ(read_numbers(file, "members/seed"), (std::vector<double>{3, 4, 3, 4}));
    EXPECT_EQ(texts("table", "observables/group"), (std::vector<std::string>{"lr=0.01", "lr=0.02"}));
    const auto t_gen = read_numbers(file, "members/t_gen");
    for (std::size_t i = 0; i < 4; ++i) {
      const auto metrics = directory("table") / texts("table", "members/directory")[i] / "metrics.h5";
      EXPECT_EQ(read_numbers(metrics, "events/t_gen_step").front(), t_gen[i]);
    }
    EXPECT_EQ(read_numbers(file, "observables/t_gen/count"), (std::vector<double>{2, 2}));
    EXPECT_EQ(read_numbers(file, "observables/t_gen/mean")[1], (t_gen[2] + t_gen[3]) / 2);
    EXPECT_NEAR(read_numbers(file, "observables/t_gen/sd")[0], std::abs(t_gen[0] - t_gen[1]) / std::sqrt(2.0),
                1e-12);
    const auto handle = hdf5::open_file(file);
    const auto attributes = hdf5::read_attributes(hdf5::open_dataset(handle, "observables/t_gen/sd"));
    for (const auto* name : {"long_name", "units", "definition"})
      EXPECT_NE(find_attribute(attributes, name), nullptr) << name;
  });
}

TEST_F(StudyTest, GrowsByMembersButNeverMixesThem) {
  run("growing", "study: {base: base.yaml, seeds: [0]}");
  EXPECT_EQ(run("growing", "study: {base: base.yaml, seeds: [0, 1]}").problem, "");
  world_.on_root([&] {
    EXPECT_EQ(texts("growing", "members/status"), (std::vector<std::string>{"done", "done"}));
  });
  EXPECT_EQ(code_of([&] { run("growing", "study: {base: base.yaml, seeds: [0, 1]}\ntraining: {lr: 0.02}"); }),
            ExitCode::user);
}

TEST_F(StudyTest, OneFileMayHoldTheBaseAsWell) {
  run("apart", "study: {base: base.yaml, seeds: [5]}");
  run("together", std::string("study: {seeds: [5]}\n") + kBase);
  world_.on_root([&] {
    const auto member = std::filesystem::path("members") / "seed=5";
    EXPECT_EQ(differences(published(directory("apart") / member), published(directory("together") / member)),
              std::vector<std::string>());
  });
}

TEST_F(StudyTest, MoreRanksForAMemberThanThereAre) {
  const auto text =
      "study: {base: base.yaml, seeds: [0], ranks_per_member: " + std::to_string(world_.size() + 1) + "}";
  EXPECT_EQ(code_of([&] { run("wide", text); }), ExitCode::user);
}

}  // namespace
}  // namespace grokscope
