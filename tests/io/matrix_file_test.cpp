// A matrix in panels: what is written is what was filled, and a file that was left unfinished is taken up where it was.
#include "io/matrix_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "io/durable_file.hpp"
#include "io/folder_test.hpp"
#include "io/hdf5.hpp"

namespace grokscope {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kRows = 61, kCols = 7, kPanelBytes = 3 * kCols * 8;  // three rows a panel

double element(std::int64_t i, std::int64_t j) { return std::sin(static_cast<double>(i * kCols + j)); }

class MatrixFileTest : public FolderTest {
 protected:
  fs::path path() const { return folder.path() / "matrix.h5"; }

  MatrixSpec spec(std::uint64_t identity = 42, DType dtype = DType::float64) const {
    return {kRows, kCols, dtype, 0, {"a matrix", "1", "sin of the place"}, identity};
  }

  /// Writes; returns how many rows this rank was asked for. `fail_at` makes the rank that has that row fail there.
  std::int64_t write(const MatrixSpec& s, std::int64_t fail_at = -1, std::int64_t panel_bytes = kPanelBytes) {
    std::int64_t filled = 0;
    const auto fill = [&](IndexRange rows, std::span<double> out) {
      if (rows.begin <= fail_at && fail_at < rows.end) throw EnvironmentError("the power is gone");
      for (auto i = rows.begin; i < rows.end; ++i) {
        for (std::int64_t j = 0; j < kCols; ++j) out[static_cast<std::size_t>((i - rows.begin) * kCols + j)] = element(i, j);
      }
      filled += rows.size();
    };
    const auto file = write_matrix_file(comm, path(), "gop", s, even_share(kRows, comm.size(), comm.rank()), panel_bytes, fill);
    comm.on_root([&] { verify_matrix_file(path(), file); });
    return filled;
  }

  std::int64_t sum(std::int64_t mine) const {
    double total = static_cast<double>(mine);
    comm.sum_in_rank_order({&total, 1});
    return static_cast<std::int64_t>(total);
  }

  void expect_whole(DType dtype = DType::float64) {
    comm.on_root([&] {
      const auto stored = hdf5::read_array(hdf5::open_file(path()), "gop");
      for (std::int64_t e = 0; e < kRows * kCols; ++e) {
        const auto k = static_cast<std::size_t>(e);
        const double truth = element(e / kCols, e % kCols);
        const double found = dtype == DType::float64 ? stored.values<double>()[k] : stored.values<float>()[k];
        ASSERT_EQ(found, dtype == DType::float64 ? truth : static_cast<float>(truth)) << e;
      }
    });
  }
};

TEST_F(MatrixFileTest, HoldsWhatWasFilled) {
  for (const auto dtype : {DType::float64, DType::float32}) {
    EXPECT_EQ(sum(write(spec(0, dtype))), kRows);
    expect_whole(dtype);
  }
}

TEST_F(MatrixFileTest, IsTakenUpWhereItWasLeft) {
  EXPECT_THROW(write(spec(), even_share(kRows, comm.size(), 0).end - 1), EnvironmentError);  // the last panel of rank 0
  const auto again = sum(write(spec()));
  expect_whole();
  EXPECT_LT(again, kRows);
  if (comm.size() == 1) {
    EXPECT_EQ(again, 1);  // the one row of the panel that failed
  }
  EXPECT_EQ(sum(write(spec())), 0) << "a finished file that is not committed yet is formed again";
  expect_whole();
}

TEST_F(MatrixFileTest, ACompressedOneIsTakenUpToo) {
  auto packed = spec();
  packed.gzip_level = 4;
  EXPECT_THROW(write(packed, even_share(kRows, comm.size(), 0).end - 1), EnvironmentError);
  const auto again = sum(write(packed));
  expect_whole();
  EXPECT_LT(again, kRows);
  EXPECT_GT(again, 0);
  EXPECT_EQ(sum(write(packed)), 0);
  EXPECT_EQ(sum(write(spec())), kRows) << "another packing is another file";
  expect_whole();
}

TEST_F(MatrixFileTest, ARowMayBeATile) {
  for (const int gzip_level : {0, 4}) {
    MatrixSpec tiles{12, 9, DType::float64, gzip_level, {"tiles", "1", "number of the element"}, 7};
    tiles.tile = 3;
    tiles.attributes = {{"width", std::int64_t{11}}};
    const auto fill = [&](IndexRange rows, std::span<double> out) {
      for (std::size_t k = 0; k < out.size(); ++k) out[k] = static_cast<double>(9 * rows.begin) + static_cast<double>(k);
    };
    const auto file = write_matrix_file(comm, path(), "gop_lower", tiles, even_share(12, comm.size(), comm.rank()), 2 * 72, fill);
    comm.on_root([&] {
      verify_matrix_file(path(), file);
      const auto opened = hdf5::open_file(path());
      const auto stored = hdf5::read_array(opened, "gop_lower");
      EXPECT_EQ(stored.shape, (std::vector<std::int64_t>{12, 3, 3}));
      for (std::size_t k = 0; k < 108; ++k) ASSERT_EQ(stored.values<double>()[k], static_cast<double>(k));
      const auto attributes = hdf5::read_attributes(hdf5::open_dataset(opened, "gop_lower"));
      EXPECT_EQ(attribute_value<std::int64_t>(attributes, "width"), 11);
    });
  }
}

TEST_F(MatrixFileTest, StartsAnewForAnotherMatrix) {
  write(spec());
  EXPECT_EQ(sum(write(spec(43))), kRows) << "other contents";
  EXPECT_EQ(sum(write(spec(43), -1, 2 * kPanelBytes)), kRows) << "other panels";
  EXPECT_EQ(sum(write(spec(43, DType::float32), -1, 2 * kPanelBytes)), kRows) << "another type";
  expect_whole(DType::float32);
}

TEST_F(MatrixFileTest, ATornLineOfTheJournalDoesNotCount) {
  write(spec());
  comm.on_root([&] {
    const auto journal = path().string() + ".journal.0";
    auto text = read_text(journal);
    text.resize(text.size() - 4);
    std::ofstream(journal) << text;
  });
  const auto last_panel = (even_share(kRows, comm.size(), 0).size() - 1) % 3 + 1;
  EXPECT_GE(sum(write(spec())), last_panel);
  expect_whole();
}

TEST_F(MatrixFileTest, StartsAnewWhenTheFileIsTorn) {
  write(spec());
  comm.on_root([&] { fs::resize_file(path(), 100); });  // HDF5 would leave the root alone with what it cannot read
  EXPECT_EQ(sum(write(spec())), kRows);
  expect_whole();
}

TEST_F(MatrixFileTest, StartsAnewWhenTheFileIsGone) {
  write(spec());
  comm.on_root([&] { fs::remove(path()); });
  EXPECT_EQ(sum(write(spec())), kRows);
  expect_whole();
}

}  // namespace
}  // namespace grokscope
