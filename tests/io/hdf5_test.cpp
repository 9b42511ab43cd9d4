// Values come back as they went in, for us and for h5py; failures say where and why; equal contents are equal
// files.
#include "io/hdf5.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>

#include "base/record.hpp"
#include "io/durable_file.hpp"
#include "io/folder_test.hpp"

namespace grokscope {
namespace {

class Hdf5Test : public FolderTest {
 protected:
  std::filesystem::path path = folder.path() / "file.h5";

  /// Runs a line of Python with `f` opened by h5py; true when nothing is raised.
  bool h5py(const std::string& code) const {
    const auto script = folder.path() / "script.py";
    write_text_durably(
        script, "import h5py, numpy as np\nf = h5py.File('" + path.string() + "', 'r')\n" + code + "\n");
    return std::system((std::string(GROKSCOPE_PYTHON) + " " + script.string()).c_str()) == 0;
  }
};

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const EnvironmentError& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(Hdf5Test, ArraysOfEveryTypeComeBack) {
  const std::vector<float> floats{1.5F, -0.0F, std::numeric_limits<float>::quiet_NaN(), 3e38F, 1e-45F, 7};
  const std::vector<double> doubles{kMissing, 0.1, -INFINITY};
  const std::vector<std::int64_t> integers{INT64_MIN, INT64_MAX};
  const std::vector<std::uint64_t> naturals{UINT64_MAX};
  const std::vector<std::uint8_t> small{0, 255};
  const std::vector<NamedArray> arrays{NamedArray::from<float>("a/b/floats", {2, 3}, floats),
                                       NamedArray::from<double>("doubles", {3, 1, 1}, doubles),
                                       NamedArray::from<std::int64_t>("blocks.0.attn", {2}, integers),
                                       NamedArray::from<std::uint64_t>("naturals", {1}, naturals),
                                       NamedArray::from<std::uint8_t>("small", {2}, small),
                                       NamedArray::from<double>("none", {0, 4}, {}),
                                       NamedArray::scalar("number", 2.5)};
  for (const int gzip_level : {0, 4}) {
    auto file = hdf5::create_file(path);
    for (const auto& array : arrays) hdf5::write_array(file, array.name, array, {}, gzip_level);
    file.close();
    const auto reopened = hdf5::open_file(path);
    for (const auto& array : arrays) {
      const auto back = hdf5::read_array(reopened, array.name);
      EXPECT_EQ(back.dtype, array.dtype);
      EXPECT_EQ(back.shape, array.shape);
      EXPECT_EQ(back.bytes, array.bytes) << array.name;
    }
  }
  EXPECT_TRUE(
      h5py("assert f['a/b/floats'].dtype == np.float32 and f['a/b/floats'].shape == (2, 3)\n"
           "assert np.isnan(f['a/b/floats'][0, 2]) and f['a/b/floats'][1, 2] == 7\n"
           "assert f['blocks.0.attn'][:].tolist() == [-2**63, 2**63 - 1]\n"
           "assert f['naturals'][0] == 2**64 - 1 and f['number'][()] == 2.5"));
}

TEST_F(Hdf5Test, AttributesComeBackSortedByName) {
  const std::vector<double> list{1, kMissing, 3};
  auto file = hdf5::create_file(path);
  hdf5::write_attributes(file, {{"text", "gr\u00f6\u00dfer"}, {"empty", ""}, {"count", std::int64_t{-5}}});
  hdf5::write_attributes(file, {{"real", 0.1}, {"list", list}, {"nothing", std::vector<double>{}}});
  hdf5::write_attributes(file, {{"count", std::int64_t{7}}});
  file.close();
  const auto attributes = hdf5::read_attributes(hdf5::open_file(path));
  ASSERT_EQ(attributes.size(), 6U);
  EXPECT_EQ(attributes.front().first, "count");
  EXPECT_EQ(attribute_value<std::int64_t>(attributes, "count"), 7);
  EXPECT_EQ(attribute_value<std::string>(attributes, "text"), "gr\u00f6\u00dfer");
  EXPECT_EQ(attribute_value<std::string>(attributes, "empty"), "");
  EXPECT_EQ(attribute_value<double>(attributes, "real"), 0.1);
  EXPECT_EQ(attribute_value<std::vector<double>>(attributes, "list").size(), 3U);
  EXPECT_TRUE(std::isnan(attribute_value<std::vector<double>>(attributes, "list")[1]));
  EXPECT_TRUE(attribute_value<std::vector<double>>(attributes, "nothing").empty());
  EXPECT_THROW(attribute_value<double>(attributes, "count"), EnvironmentError);
  EXPECT_TRUE(h5py("assert f.attrs['text'].decode() == 'gr\\u00f6\\u00dfer' and f.attrs['count'] == 7"));
}

TEST_F(Hdf5Test, TextsComeBack) {
  const std::vector<std::string> texts{"mlp.W_in", "", "a longer name"};
  auto file = hdf5::create_file(path);
  hdf5::write_texts(file, "names", texts);
  hdf5::write_texts(file, "none", {});
  file.close();
  EXPECT_EQ(hdf5::read_texts(hdf5::open_file(path), "names"), texts);
  EXPECT_TRUE(hdf5::read_texts(hdf5::open_file(path), "none").empty());
  EXPECT_TRUE(h5py("assert f['names'].asstr()[:].tolist() == ['mlp.W_in', '', 'a longer name']"));
}

TEST_F(Hdf5Test, RowsAreWrittenWhereTheyBelong) {
  auto file = hdf5::create_file(path);
  const std::vector<double> rows{1, 2, 3, 4};
  {
    const auto dataset = hdf5::create_dataset(file, "m", DType::float32, std::vector<std::int64_t>{5, 2});
    const std::vector<float> first{1, 2, 3, 4, 5, 6};
    hdf5::write_rows(dataset, {0, 3}, DType::float32, first.data());
    hdf5::write_rows(dataset, {3, 5}, DType::float64, rows.data());
    EXPECT_THROW(hdf5::write_rows(dataset, {4, 6}, DType::float64, rows.data()), InternalError);
    std::vector<double> back(4);
    hdf5::read_rows(dataset, {2, 4}, DType::float64, back.data());
    EXPECT_EQ(back, (std::vector<double>{5, 6, 1, 2}));
  }
  file.close();
}

TEST_F(Hdf5Test, ListsChildrenAndDatasets) {
  auto file = hdf5::create_file(path);
  for (const std::string name : {"b/x", "a", "b/c/y"})
    hdf5::write_array(file, name, NamedArray::scalar("", 1.0));
  hdf5::link_external(file, "link", "nowhere.h5", "/x");
  EXPECT_EQ(hdf5::list_children(file), (std::vector<std::string>{"a", "b", "link"}));
  EXPECT_EQ(hdf5::list_datasets(file), (std::vector<std::string>{"a", "b/c/y", "b/x"}));
  EXPECT_TRUE(hdf5::exists(file, "b/c/y"));
  EXPECT_FALSE(hdf5::exists(file, "q/c/y"));
  EXPECT_TRUE(hdf5::is_group(file, "b"));
  EXPECT_FALSE(hdf5::is_group(file, "link"));
}

TEST_F(Hdf5Test, ErrorsNameThePathAndTheCause) {
  EXPECT_NE(message_of([&] { hdf5::open_file(folder.path() / "absent.h5"); }).find("absent.h5 (No such file"),
            std::string::npos);
  write_text_durably(path, "not an HDF5 file");
  EXPECT_NE(message_of([&] { hdf5::open_file(path); }).find(path.string()), std::string::npos);
  const auto file = hdf5::create_file(path);
  const auto message = message_of([&] { hdf5::read_array(file, "group/absent"); });
  EXPECT_NE(message.find("cannot open dataset 'group/absent' in " + path.string()), std::string::npos)
      << message;
}

/// Lowers `ulimit -f` while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const struct rlimit lower = {bytes, before_.rlim_max};
    require(::setrlimit(RLIMIT_FSIZE, &lower) == 0, "no lower limit");
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  struct rlimit before_ = {};
};

TEST_F(Hdf5Test, AFileThatPassesTheLimitIsRefusedAndCloses) {
  const std::vector<double> values(250'000, 1.0);  // 2 MB
  const auto array = NamedArray::from<double>("x", {250'000}, values);
  const FileSizeLimit limit(3'000'000);
  auto file = hdf5::create_file(path);
  hdf5::write_array(file, "first", array);
  const auto message = message_of([&] { hdf5::write_array(file, "second", array); });
  EXPECT_NE(message.find("'second' in " + path.string() + " (File too large, see ulimit -f)"), std::string::npos) << message;
  EXPECT_NE(message_of([&] { hdf5::copy_whole(file, "first", file); }).find("ulimit -f"), std::string::npos);
  EXPECT_NE(message_of([&] { file.close(); }).find("ulimit -f"), std::string::npos);
}

TEST_F(Hdf5Test, WhatARefusedFileHoldsCanStillBeRead) {
  const FileSizeLimit limit(1'000'000);
  auto file = hdf5::create_file(path);
  const std::vector<double> values(250'000, 1.0);
  EXPECT_THROW(hdf5::write_array(file, "large", NamedArray::from<double>("x", {250'000}, values)), EnvironmentError);
  // HDF5 itself goes on: metadata of many objects is pushed out of its cache and read back.
  constexpr int kGroups = 20'000;
  const auto links = hdf5::link_creation();
  for (int k = 0; k < kGroups; ++k) {
    const hdf5::Handle group(H5Gcreate2(file.get(), ("group/" + std::to_string(k)).c_str(), links.get(), H5P_DEFAULT, H5P_DEFAULT),
                             H5Gclose);
    ASSERT_TRUE(group.is_open()) << k;
  }
  const hdf5::Handle group(H5Gopen2(file.get(), "group", H5P_DEFAULT), H5Gclose);
  int seen = 0;
  const auto look = [](hid_t parent, const char* name, const H5L_info_t*, void* count) {
    const hdf5::Handle child(H5Gopen2(parent, name, H5P_DEFAULT), H5Gclose);
    *static_cast<int*>(count) += child.is_open();
    return 0;
  };
  EXPECT_EQ(H5Literate(group.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, look, &seen), 0);
  EXPECT_EQ(seen, kGroups);
  EXPECT_THROW(hdf5::list_children(group), EnvironmentError) << "the refusal must not be forgotten";
  EXPECT_NE(message_of([&] { file.close(); }).find("ulimit -f"), std::string::npos);
}

TEST_F(Hdf5Test, AFileFullOfSmallThingsIsRefusedAndCloses) {
  const FileSizeLimit limit(1'400'000);
  auto file = hdf5::create_file(path);
  int count = 0;
  const auto message = message_of([&] {
    for (; count < 100'000; ++count) {
      hdf5::write_array(file, "group/" + std::to_string(count), NamedArray::scalar("", 1.0), {{"units", "1"}});
    }
  });
  EXPECT_NE(message.find("ulimit -f"), std::string::npos) << message;
  EXPECT_GT(count, 100);
  EXPECT_LT(count, 100'000);
  EXPECT_NE(message_of([&] { file.close(); }).find("ulimit -f"), std::string::npos);
}

TEST_F(Hdf5Test, ATruncatedFileDoesNotOpen) {
  const std::vector<double> values(1000, 1.0);
  auto file = hdf5::create_file(path);
  hdf5::write_array(file, "x", NamedArray::from<double>("x", {1000}, values));
  file.close();
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
  EXPECT_THROW(hdf5::open_file(path), EnvironmentError);
}

TEST_F(Hdf5Test, ContentHashSeesValuesNamesAndAttributes) {
  const auto hash_of = [&](const std::string& name, double value, double attribute) {
    auto file = hdf5::create_file(path);
    hdf5::write_array(file, name, NamedArray::scalar("", value), {{"a", attribute}});
    hdf5::write_attributes(file, {{"content_hash", "ignored"}, {"root", attribute}});
    return hdf5::content_hash(file);
  };
  const auto hash = hash_of("g/x", 1, 2);
  EXPECT_EQ(hash, hash_of("g/x", 1, 2));
  EXPECT_NE(hash, hash_of("g/y", 1, 2));
  EXPECT_NE(hash, hash_of("g/x", 1.5, 2));
  EXPECT_NE(hash, hash_of("g/x", 1, 2.5));
}

TEST_F(Hdf5Test, TheBytesAreThoseOfTheOwnDriverOfHdf5) {
  const auto fill = [](hdf5::Handle file) {
    const std::vector<double> values(5'000, 0.25);
    for (const int gzip_level : {0, 4}) {
      for (int k = 0; k < 40; ++k) {
        const auto name = "level" + std::to_string(gzip_level) + "/" + std::to_string(k);
        hdf5::write_array(file, name, NamedArray::from<double>("", {5'000}, values), {{"units", "1"}, {"k", std::int64_t{k}}}, gzip_level);
      }
    }
    hdf5::unlink(file, "level4/7");
    hdf5::write_texts(file, "names", std::vector<std::string>{"a", "bc"});
    file.close();
  };
  fill(hdf5::create_file(path));
  const hdf5::Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
  H5Pset_sieve_buf_size(access.get(), 0);
  H5Pset_cache(access.get(), 0, 0, 0, 0);
  const auto other = folder.path() / "other.h5";
  fill({H5Fcreate(other.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose});
  EXPECT_EQ(std::filesystem::file_size(path), std::filesystem::file_size(other));
  EXPECT_EQ(hash_file(path), hash_file(other));
}

TEST_F(Hdf5Test, EqualContentsAreEqualBytes) {
  const auto write = [&](const std::filesystem::path& target) {
    auto file = hdf5::create_file(target);
    hdf5::write_array(file, "g/x", NamedArray::scalar("", 1.0), {{"units", "1"}});
    file.close();
    return hash_file(target);
  };
  const auto first = write(path);
  ::sleep(2);  // HDF5's own timestamps count seconds
  EXPECT_EQ(first, write(folder.path() / "later.h5"));
}

}  // namespace
}  // namespace grokscope
