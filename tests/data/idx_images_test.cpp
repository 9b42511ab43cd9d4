// IDX files: a small one made here is read back, and every kind of damage is an error that says how to get
// a file that is whole.
#include "data/idx_images.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.hpp"
#include "io/folder_test.hpp"

namespace grokscope {
namespace {

const std::string kFix = "run tools/fetch_data.py mnist --dir data/mnist";

using Bytes = std::vector<unsigned char>;

void put_big_endian(Bytes& bytes, std::uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<unsigned char>(value >> shift));
}

Bytes idx(std::uint32_t magic, const std::vector<std::uint32_t>& extents, std::size_t count) {
  Bytes bytes;
  put_big_endian(bytes, magic);
  for (const auto extent : extents) put_big_endian(bytes, extent);
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<unsigned char>(i * 7 % 256));
  return bytes;
}

class IdxTest : public FolderTest {
 protected:
  std::filesystem::path write(const std::string& name, const Bytes& bytes) const {
    const auto path = folder.path() / name;
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return path;
  }
  /// The text of the EnvironmentError that reading must raise.
  std::string complaint(const std::filesystem::path& path) const {
    try {
      read_idx(path, kFix);
    } catch (const EnvironmentError& error) {
      return error.what();
    }
    ADD_FAILURE() << path << " was accepted";
    return {};
  }
  void expect_complaint(const std::filesystem::path& path, const std::string& problem) const {
    const auto text = complaint(path);
    for (const auto& part : {problem, path.string(), kFix})
      EXPECT_NE(text.find(part), std::string::npos) << text;
  }
};

TEST_F(IdxTest, ReadsImagesAndLabels) {
  write("tiny-images-idx3-ubyte", idx(0x803, {4, 2, 3}, 24));
  write("tiny-labels-idx1-ubyte", idx(0x801, {4}, 4));
  const auto images = read_idx(folder.path() / "tiny-images-idx3-ubyte", kFix);
  EXPECT_EQ(images.sizes(), at::IntArrayRef({4, 2, 3}));
  EXPECT_EQ(images[1][0][1].item<int>(), 7 * 7);
  EXPECT_EQ(images[3][1][2].item<int>(), 23 * 7);
  const auto data = read_idx_pair(folder.path(), "tiny", 60000, {}, kFix);
  EXPECT_EQ(data.inputs.sizes(), at::IntArrayRef({4, 6}));
  EXPECT_EQ(data.inputs.scalar_type(), at::kByte);
  EXPECT_TRUE(data.ids.equal(at::arange(60000, 60004, at::kLong)));
  EXPECT_TRUE(data.targets.equal(at::tensor({0, 7, 14, 21}, at::kLong)));
}

TEST_F(IdxTest, TheFirstOfThemAndNeverFewerThanAskedFor) {
  write("tiny-images-idx3-ubyte", idx(0x803, {4, 2, 3}, 24));
  write("tiny-labels-idx1-ubyte", idx(0x801, {4}, 4));
  const auto all = read_idx_pair(folder.path(), "tiny", 7, 4, kFix), some = read_idx_pair(folder.path(), "tiny", 7, 3, kFix);
  EXPECT_TRUE(some.ids.equal(at::arange(7, 10, at::kLong)));
  EXPECT_TRUE(some.inputs.equal(all.inputs.slice(0, 0, 3)));
  EXPECT_TRUE(some.targets.equal(all.targets.slice(0, 0, 3)));
  try {
    read_idx_pair(folder.path(), "tiny", 0, 5, kFix);
    FAIL() << "accepted";
  } catch (const EnvironmentError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("4 images, 5 are asked for"), std::string::npos) << text;
    EXPECT_NE(text.find(kFix), std::string::npos) << text;
  }
}

TEST_F(IdxTest, ExtentsBeyondOneByteAreBigEndian) {
  const auto path = write("labels", idx(0x801, {300}, 300));
  EXPECT_EQ(read_idx(path, kFix).size(0), 300);
}

TEST_F(IdxTest, AMissingFile) {
  expect_complaint(folder.path() / "nowhere", "file not found");
}

TEST_F(IdxTest, ATruncatedFile) {
  auto bytes = idx(0x803, {4, 2, 3}, 24);
  bytes.pop_back();
  expect_complaint(write("short", bytes), "39 bytes where its header promises 40");
  bytes.insert(bytes.end(), {0, 0});
  expect_complaint(write("long", bytes), "41 bytes where its header promises 40");
  bytes.resize(9);
  expect_complaint(write("header", bytes), "truncated");
}

TEST_F(IdxTest, AWrongMagicNumber) {
  expect_complaint(write("floats", idx(0xd03, {4, 2, 3}, 24)), "not an IDX file of unsigned bytes");
  expect_complaint(write("gzip", {0x1f, 0x8b, 0x08, 0x00, 0, 0, 0, 0}), "not an IDX file");
  expect_complaint(write("empty", {}), "not an IDX file");
}

TEST_F(IdxTest, AnAbsurdHeaderIsDamageAndNotAnAllocation) {
  expect_complaint(write("absurd", idx(0x803, {0xffffffff, 0xffffffff, 0xffffffff}, 24)), "header promises");
}

TEST_F(IdxTest, ImagesAndLabelsThatDoNotMatch) {
  write("odd-images-idx3-ubyte", idx(0x803, {4, 2, 3}, 24));
  write("odd-labels-idx1-ubyte", idx(0x801, {5}, 5));
  try {
    read_idx_pair(folder.path(), "odd", 0, {}, kFix);
    FAIL() << "accepted";
  } catch (const EnvironmentError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("4 images but 5 labels"), std::string::npos) << text;
    EXPECT_NE(text.find(kFix), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace grokscope
