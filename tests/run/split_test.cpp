// Do sessions in one job disturb each other?
// Two sessions side by side on halves of a job, and the same two in turn on one half, leave the same bits.
#include <gtest/gtest.h>

#include <array>

#include "comm/environment.hpp"
#include "experiments/all.hpp"
#include "io/temporary_folder.hpp"
#include "run/published_run.hpp"

namespace grokscope {
namespace {

constexpr auto* kLinear = R"(
experiment: {name: 09_levi_linear}
data: {d_in: 20, n_train: 30}
training: {epochs: 40, optimizer: sgd, lr: 0.01, dtype: float64, log_interval: 1}
gop_tracking: {frequency: 5, top_k_eigen: 4}
computational_limits: {checkpoint_frequency: 10}
)";

constexpr auto* kPolynomials = R"(
experiment: {name: 08_doshi_polynomials}
data: {p: 7}
model: {width: 6}
training: {epochs: 20, batch_size: 7, optimizer: adamw, lr: 0.005, weight_decay: 1, dtype: float64}
gop_tracking: {frequency: 4, top_k_eigen: 4}
)";

struct Member {
  std::string name;
  const char* text;
  std::vector<std::string> overrides;
};

const std::array<Member, 2> kPairs[] = {
    {Member{"linear_seed_0", kLinear, {"training.seed=0"}},
     Member{"linear_seed_1", kLinear, {"training.seed=1"}}},
    {Member{"linear", kLinear, {}}, Member{"polynomials", kPolynomials, {}}},
};

/// Runs one member below `folder`. Collective over comm.
void run_member(const Communicator& comm, const std::filesystem::path& folder, const Member& member,
                Experiments experiments) {
  const auto file = write_configuration(comm, folder / (member.name + ".yaml"), member.text);
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

TEST(Split, TwoSeedsSideBySideAreThoseInTurn) {
  auto world = Communicator::duplicate(MPI_COMM_WORLD);
  check_pair(world, kPairs[0]);
  world.free();
}

TEST(Split, TwoExperimentsSideBySideAreThoseInTurn) {
  auto world = Communicator::duplicate(MPI_COMM_WORLD);
  check_pair(world, kPairs[1]);
  world.free();
}

}  // namespace
}  // namespace grokscope
