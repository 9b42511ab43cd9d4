// CIFAR-10's binary files: small ones in their format are read back, and every kind of damage is an error that says how to
// get files that are whole.
#include "data/cifar_images.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.hpp"
#include "io/temporary_folder.hpp"

namespace grokscope {
namespace {

const std::string kFix = "run tools/fetch_data.py cifar10 --dir data/cifar10";
constexpr std::uintmax_t kFileSize = 10000 * 3073;

class CifarTest : public testing::Test {
 protected:
  void TearDown() override {
    folder.remove(comm);
    comm.free();
  }

  Communicator comm = Communicator::duplicate(MPI_COMM_WORLD);
  TemporaryFolder folder{comm};

  /// A file of the right size (sparse) that begins with these labels; pixel k of image i is (11 i + k) mod 251.
  std::filesystem::path write(const std::string& name, const std::vector<unsigned char>& labels) const {
    const auto path = folder.path() / name;
    std::ofstream out(path, std::ios::binary);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      std::vector<char> record{static_cast<char>(labels[i])};
      for (std::size_t k = 0; k < 3072; ++k) record.push_back(static_cast<char>((11 * i + k) % 251));
      out.write(record.data(), 3073);
    }
    out.close();
    std::filesystem::resize_file(path, kFileSize);
    return path;
  }
  void expect_complaint(std::int64_t n, const std::string& problem, const std::string& file) const {
    try {
      read_cifar10(folder.path(), "train", n, kFix);
      ADD_FAILURE() << "accepted: " << problem;
    } catch (const EnvironmentError& error) {
      const std::string text = error.what();
      for (const auto& part : {problem, (folder.path() / file).string(), kFix}) {
        EXPECT_NE(text.find(part), std::string::npos) << text;
      }
    }
  }
};

TEST_F(CifarTest, TheFirstImagesAreReadBack) {
  write("data_batch_1.bin", {6, 9, 3});
  const auto data = read_cifar10(folder.path(), "train", 3, kFix);
  ASSERT_EQ(data.inputs.sizes(), at::IntArrayRef({3, 3072}));
  EXPECT_TRUE(data.targets.equal(at::tensor({6, 9, 3}, at::kLong)));
  EXPECT_TRUE(data.ids.equal(at::arange(3, at::kLong)));
  const auto expected = (at::arange(3, at::kLong).unsqueeze(1) * 11 + at::arange(3072, at::kLong)).remainder(251);
  EXPECT_TRUE(data.inputs.to(at::kLong).equal(expected));
  EXPECT_EQ(read_cifar10(folder.path(), "train", 2, kFix).size(), 2);
}

TEST_F(CifarTest, GoesOnInTheNextFile) {
  write("data_batch_1.bin", {1});
  write("data_batch_2.bin", {7, 8});
  const auto data = read_cifar10(folder.path(), "train", 10002, kFix);
  EXPECT_EQ(data.size(), 10002);
  EXPECT_EQ(data.targets[0].item<std::int64_t>(), 1);
  EXPECT_EQ(data.targets[10000].item<std::int64_t>(), 7);
  EXPECT_EQ(data.targets[10001].item<std::int64_t>(), 8);
  EXPECT_EQ(data.inputs[10001][0].item<std::int64_t>(), 11);
}

TEST_F(CifarTest, TestImagesHaveIdsOfTheirOwn) {
  write("test_batch.bin", {5, 4});
  const auto data = read_cifar10(folder.path(), "test", 2, kFix);
  EXPECT_TRUE(data.ids.equal(at::tensor({50000, 50001}, at::kLong)));
  EXPECT_EQ(read_cifar10(folder.path(), "test", 0, kFix).size(), 0);
}

TEST_F(CifarTest, DamageIsAnError) {
  expect_complaint(1, "file not found", "data_batch_1.bin");
  const auto path = write("data_batch_1.bin", {6, 10});
  EXPECT_EQ(read_cifar10(folder.path(), "train", 1, kFix).size(), 1);
  expect_complaint(2, "a label of 10", "data_batch_1.bin");
  std::filesystem::resize_file(path, kFileSize - 1);
  expect_complaint(1, "30729999 bytes instead of 30730000", "data_batch_1.bin");
}

}  // namespace
}  // namespace grokscope
