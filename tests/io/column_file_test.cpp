// Can an outsider read a table of columns, and tell what each of them is?
#include "io/column_file.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "io/hdf5.hpp"
#include "io/temporary_folder.hpp"

namespace grokscope {
namespace {

class ColumnFileTest : public testing::Test {
 protected:
  void TearDown() override {
    folder_.remove(comm_);
    comm_.free();
  }
  Communicator comm_ = Communicator::duplicate(MPI_COMM_WORLD);
  TemporaryFolder folder_{comm_};
  std::filesystem::path path_ = folder_.path() / "table.h5";
};

TEST_F(ColumnFileTest, NumbersAndTextsComeBackWithTheirMeaning) {
  const std::vector<FileColumn> columns{
      {{"members/name", "member", "1", "its name"}, std::vector<std::string>{"dense", "", "ticket,seed=1"}},
      {{"members/seed", "seed", "1", "training.seed"}, std::vector<std::int64_t>{0, -3, 1L << 60}},
      {{"members/events/t_gen", "time", "step", "first step"},
       std::vector<double>{0.1, kMissing, -INFINITY}}};
  publish_columns(path_, columns, {{"members", std::int64_t{3}}});
  const auto file = hdf5::open_file(path_);
  EXPECT_EQ(hdf5::read_texts(file, "members/name"), std::get<std::vector<std::string>>(columns[0].values));
  const auto seeds = hdf5::read_array(file, "members/seed");
  EXPECT_EQ(seeds.values<std::int64_t>()[2], 1L << 60);
  const auto times = read_numbers(path_, "members/events/t_gen");
  EXPECT_EQ(times[0], 0.1);
  EXPECT_TRUE(std::isnan(times[1]));
  EXPECT_EQ(times[2], -INFINITY);
  EXPECT_EQ(read_numbers(path_, "members/seed")[1], -3);
  for (const auto& column : columns) {
    const auto attributes = hdf5::read_attributes(hdf5::open_dataset(file, column.quantity.path));
    EXPECT_EQ(attribute_value<std::string>(attributes, "long_name"), column.quantity.long_name);
    EXPECT_EQ(attribute_value<std::string>(attributes, "units"), column.quantity.units);
    EXPECT_EQ(attribute_value<std::string>(attributes, "definition"), column.quantity.definition);
  }
}

TEST_F(ColumnFileTest, ReplacesTheOldTableAndLeavesNothingElse) {
  publish_columns(path_, std::vector<FileColumn>{{{"a", "a", "1", "a"}, std::vector<double>{1}}}, {});
  publish_columns(path_, std::vector<FileColumn>{{{"b", "b", "1", "b"}, std::vector<double>{2, 3}}}, {});
  EXPECT_EQ(hdf5::list_datasets(hdf5::open_file(path_)), std::vector<std::string>{"b"});
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

}  // namespace
}  // namespace grokscope
