// Rows become columns, columns of several files one series: NaN where nothing was measured, and axes that
// h5py knows.
#include "io/table.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "io/folder_test.hpp"

namespace grokscope {
namespace {

const Quantity kLoss{"train_loss", "training loss", "1", "mean of loss_i"};
const Quantity kTop{"eigenvalues_top_k", "largest eigenvalues", "1", "of G"};

class TableTest : public FolderTest {
 protected:
  std::vector<TableSource> sources;

  void add_source(const TableBuffer& rows) {
    sources.push_back({folder.path() / ("source" + std::to_string(sources.size()) + ".h5"), "/metrics"});
    auto file = hdf5::create_file(sources.back().file);
    rows.write(hdf5::require_group(file, "/metrics"));
    file.close();
  }

  hdf5::Handle merge() {
    const auto path = folder.path() / "merged.h5";
    auto file = hdf5::create_file(path);
    concatenate_tables(sources, file);
    file.close();
    return hdf5::open_file(path);
  }
};

Record row(std::int64_t epoch, const Quantity& quantity, double value, const std::string& table = "") {
  Record record{table, epoch, 10 * epoch, {}};
  record.set(quantity, value);
  return record;
}

TEST_F(TableTest, RecordsOfOneMomentShareARow) {
  TableBuffer rows;
  rows.append(row(1, kLoss, 0.5));
  rows.append(row(1, {"gop_trace", "", "", ""}, 7));
  rows.append(row(1, kLoss, 0.25));  // measured again: not lost, a row of its own
  add_source(rows);
  const auto merged = merge();
  EXPECT_EQ(hdf5::read_array(merged, "epoch").shape, std::vector<std::int64_t>{2});
  EXPECT_EQ(hdf5::read_array(merged, "train_loss").values<double>()[1], 0.25);
  EXPECT_EQ(hdf5::read_array(merged, "gop_trace").values<double>()[0], 7);
  EXPECT_TRUE(std::isnan(hdf5::read_array(merged, "gop_trace").values<double>()[1]));
}

TEST_F(TableTest, AbsentAndShortValuesAreNaN) {
  TableBuffer first, second, third;
  Record narrow{"", 0, 0, {}};
  narrow.set(kTop, std::vector<double>{3, 2});
  first.append(narrow);
  first.append(row(1, kLoss, 0.5));
  second.append(row(2, kLoss, 0.25));
  Record wide{"", 3, 30, {}};
  wide.set(kTop, std::vector<double>{6, 5, 4});
  third.append(wide);
  for (const auto* rows : {&first, &second, &third}) add_source(*rows);
  const auto merged = merge();
  const auto top = hdf5::read_array(merged, "eigenvalues_top_k");
  ASSERT_EQ(top.shape, (std::vector<std::int64_t>{4, 3}));
  const auto nan = kMissing;
  const std::vector<double> expected{3, 2, nan, nan, nan, nan, nan, nan, nan, 6, 5, 4};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto value = top.values<double>()[i];
    EXPECT_TRUE(value == expected[i] || (std::isnan(value) && std::isnan(expected[i]))) << i << ": " << value;
  }
  const auto loss = hdf5::read_array(merged, "train_loss").values<double>()[0];
  EXPECT_TRUE(std::isnan(loss));
  const auto epochs = hdf5::read_array(merged, "epoch");
  EXPECT_TRUE(std::ranges::equal(epochs.values<std::int64_t>(), std::vector<std::int64_t>{0, 1, 2, 3}));
}

TEST_F(TableTest, TablesHaveTheirOwnAxes) {
  TableBuffer rows;
  rows.append(row(0, kLoss, 1));
  for (const std::int64_t epoch : {0, 1, 2}) rows.append(row(epoch, kLoss, 2, "training"));
  rows.append(row(5, {"probes/forgetting/count", "", "", ""}, 3, "probes/forgetting"));
  EXPECT_EQ(rows.first_epoch(), 0);
  add_source(rows);
  const auto merged = merge();
  EXPECT_EQ(hdf5::read_array(merged, "train_loss").shape, std::vector<std::int64_t>{1});
  EXPECT_EQ(hdf5::read_array(merged, "training/train_loss").shape, std::vector<std::int64_t>{3});
  EXPECT_EQ(hdf5::read_array(merged, "probes/forgetting/epoch").values<std::int64_t>()[0], 5);
  EXPECT_EQ(hdf5::read_array(merged, "probes/forgetting/count").values<double>()[0], 3);
}

TEST_F(TableTest, AMergedFileIsItselfASource) {
  TableBuffer first, second;
  first.append(row(0, kLoss, 1));
  second.append(row(1, {"gop_trace", "", "", ""}, 2));
  add_source(first);
  add_source(second);
  merge();
  std::filesystem::rename(folder.path() / "merged.h5", folder.path() / "direct.h5");
  const auto last = sources.back();
  sources.pop_back();
  merge();
  std::filesystem::rename(folder.path() / "merged.h5", folder.path() / "first.h5");
  sources = {{folder.path() / "first.h5", "/"}, last};
  const auto in_steps = merge();
  const auto direct = hdf5::open_file(folder.path() / "direct.h5");
  EXPECT_EQ(hdf5::list_datasets(in_steps),
            (std::vector<std::string>{"epoch", "gop_trace", "step", "train_loss"}));
  for (const auto& path : hdf5::list_datasets(direct)) {
    EXPECT_EQ(hdf5::read_array(in_steps, path).bytes, hdf5::read_array(direct, path).bytes) << path;
    EXPECT_EQ(hdf5::read_attributes(hdf5::open_dataset(in_steps, path)),
              hdf5::read_attributes(hdf5::open_dataset(direct, path)))
        << path;
  }
}

TEST_F(TableTest, H5pyFindsTheAxesOfManyColumns) {
  TableBuffer rows;
  for (int k = 0; k < 3000; ++k)
    rows.append(row(0, {"layers/l" + std::to_string(k) + "/gop_trace", "", "", ""}, k));
  add_source(rows);
  merge();
  const auto code =
      "import h5py; f = h5py.File('" + (folder.path() / "merged.h5").string() +
      "', 'r'); d = f['layers/l2999/gop_trace']; assert d.dims[0].keys() == ['epoch', 'step'], d; "
      "assert d.dims[0]['epoch'][0] == 0 and d[0] == 2999 and h5py.h5ds.is_scale(f['epoch'].id)";
  EXPECT_EQ(std::system((std::string(GROKSCOPE_PYTHON) + " -c \"" + code + "\"").c_str()), 0);
}

}  // namespace
}  // namespace grokscope
