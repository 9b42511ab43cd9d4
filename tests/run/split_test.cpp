// Do sessions in one job disturb each other?
// Two sessions side by side on halves of a job, and the same two in turn on one half, leave the same bits.
#include <gtest/gtest.h>

#include <array>

#include "every_rank_test.hpp"
#include "experiments/all.hpp"
#include "io/temporary_folder.hpp"
#include "run/published_run.hpp"

namespace grokscope {
namespace {

struct Member {
  std::string name;
  std::string file;  ///< below tests/run/tiny
  std::vector<std::string> overrides;
};

const std::array<Member, 2> kPairs[] = {
    {Member{"linear_seed_0", "linear.json", {"training.seed=0"}},
     Member{"linear_seed_1", "linear.json", {"training.seed=1"}}},
    {Member{"linear", "linear.json", {}},
     Member{"polynomials",
            "polynomials.json",
            {"training.epochs=20", "training.batch_size=7", "gop_tracking.frequency=4"}}},
};

/// Runs one member below `folder`. Collective over comm.
void run_member(const Communicator& comm, const std::filesystem::path& folder, const Member& member,
                Experiments experiments) {
  const auto file = std::filesystem::path(GROKSCOPE_TINY_CONFIGURATIONS) / member.file;
  run_configuration(comm, file, folder / member.name, member.overrides, experiments);
}

void check_pair(const Communicator& world, const std::array<Member, 2>& pair) {
  const auto experiments = all_experiments();
  TemporaryFolder folder(world);
  const auto together = folder.path() / "together", in_turn = folder.path() / "in_turn";
  world.on_root([&] {
    std::filesystem::create_directory(together);
    std::filesystem::create_directory(in_turn);
  });
  const int half = world.rank() < world.size() / 2 ? 0 : 1;
  auto comm = world.split(half);
  run_member(comm, together, pair[static_cast<std::size_t>(half)], experiments);
  world.barrier();
  if (half == 0) {
    for (const auto& member : pair) run_member(comm, in_turn, member, experiments);
  }
  world.barrier();
  world.on_root([&] {
    for (const auto& member : pair) {
      const auto expected = published(in_turn / member.name);
      EXPECT_TRUE(expected.contains("eigenvalues") && expected.contains("training/train_loss"));
      EXPECT_EQ(differences(expected, published(together / member.name)), std::vector<std::string>())
          << member.name;
    }
    EXPECT_NE(differences(published(together / pair[0].name), published(together / pair[1].name)),
              std::vector<std::string>());
  });
  comm.free();
  folder.remove(world);
}

class SplitTest : public EveryRankTest {};

TEST_F(SplitTest, TwoSeedsSideBySideAreThoseInTurn) {
  check_pair(comm, kPairs[0]);
}

TEST_F(SplitTest, TwoExperimentsSideBySideAreThoseInTurn) {
  check_pair(comm, kPairs[1]);
}

}  // namespace
}  // namespace grokscope
