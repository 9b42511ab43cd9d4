// Which images do papers 05 and 06 train on? Compared with the bytes of the files: of a small set made here and,
// where it has been fetched, of MNIST itself.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "experiments/05_liu_omnigrok/experiment.hpp"
#include "experiments/06_humayun_deep/experiment.hpp"
#include "experiments/task_with.hpp"
#include "io/temporary_folder.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kPixels = 784;
constexpr std::uint32_t kMade = 30;  ///< images of the small set, in either split

void write_idx(const std::filesystem::path& path, const std::vector<std::uint32_t>& extents, std::uint32_t below) {
  std::ofstream out(path, std::ios::binary);
  const auto put = [&](std::uint32_t value) {
    for (const int shift : {24, 16, 8, 0}) out.put(static_cast<char>(value >> shift));
  };
  put(0x800 + static_cast<std::uint32_t>(extents.size()));
  std::uint32_t count = 1;
  for (const auto extent : extents) put(extent), count *= extent;
  for (std::uint32_t i = 0; i < count; ++i) out.put(static_cast<char>((i * 37 + i / kPixels) % below));
}

/// What a file holds behind its header.
std::vector<std::uint8_t> bytes_of(const std::filesystem::path& path, std::int64_t header) {
  std::ifstream in(path, std::ios::binary);
  in.seekg(header);
  return {std::istreambuf_iterator<char>(in), {}};
}

class ImagesTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const std::string split : {"train", "t10k"}) {
      write_idx(folder_.path() / (split + "-images-idx3-ubyte"), {kMade, 28, 28}, 251);
      write_idx(folder_.path() / (split + "-labels-idx1-ubyte"), {kMade}, 10);
    }
  }
  void TearDown() override {
    folder_.remove(world_);
    world_.free();
  }

  /// The small set, and MNIST where it is there.
  std::vector<std::filesystem::path> folders() const {
    std::vector<std::filesystem::path> result{folder_.path()};
    if (std::filesystem::exists(GROKSCOPE_MNIST "/train-images-idx3-ubyte")) result.emplace_back(GROKSCOPE_MNIST);
    return result;
  }

  /// Row r of `part` is image rows[r] of a file: its pixels over 255, its label, its number as id from `first_id` on.
  static void expect_images(const Dataset& part, const std::vector<std::int64_t>& rows, const std::filesystem::path& folder,
                            const std::string& split, std::int64_t first_id) {
    const auto images = bytes_of(folder / (split + "-images-idx3-ubyte"), 16);
    const auto labels = bytes_of(folder / (split + "-labels-idx1-ubyte"), 8);
    ASSERT_EQ(part.size(), static_cast<std::int64_t>(rows.size()));
    const auto inputs = part.inputs.contiguous();
    for (std::int64_t r = 0; r < part.size(); ++r) {
      const auto image = rows[static_cast<std::size_t>(r)];
      EXPECT_EQ(part.ids[r].item<std::int64_t>(), first_id + image);
      EXPECT_EQ(part.targets[r].item<std::int64_t>(), labels[static_cast<std::size_t>(image)]);
      const auto* pixels = inputs.data_ptr<double>() + r * kPixels;
      bool same = true;
      for (std::int64_t j = 0; j < kPixels; ++j)
        same = same && std::abs(pixels[j] - images[static_cast<std::size_t>(image * kPixels + j)] / 255.0) < 1e-15;
      EXPECT_TRUE(same) << split << " row " << r;
    }
  }

  static std::vector<std::int64_t> first(std::int64_t n) {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < n; ++i) rows.push_back(i);
    return rows;
  }

  Communicator world_ = Communicator::duplicate(MPI_COMM_WORLD);
  TemporaryFolder folder_{world_};
};

TEST_F(ImagesTest, OmnigrokTakesTheFirstOnesInTheOrderOfTheFile) {
  for (const auto& folder : folders()) {
    const auto task =
        task_with(liu_omnigrok(), {{"data.dir", folder.string()}, {"data.n_train", "20"}, {"data.n_test", "10"}});
    expect_images(task->data().train, first(20), folder, "train", 0);
    expect_images(task->data().test, first(10), folder, "t10k", 60000);
  }
}

TEST_F(ImagesTest, OmnigrokEnlargesEveryWeightAndEveryBias) {
  const auto at_scale = [](const char* scale) {
    auto task = unbuilt_task_with(liu_omnigrok(), {{"model.init_scale", scale}});
    task->build_model({});
    task->note_start();
    return task;
  };
  const auto usual = at_scale("1"), enlarged = at_scale("8");
  const auto& parameters = enlarged->model().parameters.all();
  ASSERT_EQ(parameters.size(), 6U);
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    const auto& before = usual->model().parameters[k].value;
    EXPECT_GT(before.abs().min().item<double>(), 0) << parameters[k].name;
    EXPECT_TRUE(parameters[k].value.equal(8 * before)) << parameters[k].name;
  }
}

TEST_F(ImagesTest, HumayunDrawsWithReplacement) {
  for (const auto& folder : folders()) {
    const auto drawn_with = [&](std::int64_t seed) {
      TrainingOptions training;
      training.seed = seed;
      return task_with(humayun_deep(), {{"data.dir", folder.string()}, {"data.n_train", "200"}, {"data.n_test", "10"}},
                       training);
    };
    const auto task = drawn_with(0);
    const auto& ids = task->data().train.ids;
    std::vector<std::int64_t> rows;
    for (std::int64_t r = 0; r < ids.size(0); ++r) rows.push_back(ids[r].item<std::int64_t>());
    expect_images(task->data().train, rows, folder, "train", 0);
    expect_images(task->data().test, first(10), folder, "t10k", 60000);
    EXPECT_FALSE(drawn_with(1)->data().train.ids.equal(ids));
    EXPECT_TRUE(drawn_with(0)->data().train.ids.equal(ids));
    if (folder != folder_.path()) continue;
    const std::set<std::int64_t> different(rows.begin(), rows.end());
    EXPECT_GT(different.size(), 24U);  // 200 draws of 30 leave out .03 of them on average
    EXPECT_LE(different.size(), 30U);
  }
}

}  // namespace
}  // namespace grokscope
