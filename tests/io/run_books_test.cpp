// Whatever happens to the files, the run goes on from the newest whole commit and ends as if nothing had
// happened.
#include "io/run_books.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "io/durable_file.hpp"
#include "io/hdf5.hpp"
#include "io/scripted_run_test.hpp"

namespace grokscope {
namespace {

class RunBooksTest : public ScriptedRunTest {};

TEST_F(RunBooksTest, ViewsExistBeforeTheFirstCommit) {
  run(path, {.epochs = 3});
  check("whole " + path.string());
}

TEST_F(RunBooksTest, LinksSurviveMovingTheDirectory) {
  run(path, {});
  on_root([&] { fs::rename(path, folder.path() / "moved"); });
  check("whole " + (folder.path() / "moved").string());
}

TEST_F(RunBooksTest, LostViewsAreDerivedAgain) {
  crash_at_27();
  on_root([&] {
    for (const auto* name : {"metrics.h5", "gop_full.h5", "gop_layers.h5"}) fs::remove(path / name);
  });
  finish_and_compare();
}

TEST_F(RunBooksTest, ACheckpointWithAFlippedBitIsSkipped) {
  crash_at_27();
  on_root([&] {
    const auto newest = path / "checkpoints" / "epoch_20.h5";
    auto file = hdf5::open_file_for_update(newest);
    const std::vector<double> row{1, 2, 3};
    hdf5::write_rows(hdf5::open_dataset(file, "parameters/embed.weight"), {0, 1}, DType::float64, row.data());
    file.close();
  });
  finish_and_compare();
  expect_warning("damaged");
}

TEST_F(RunBooksTest, ACommitWithoutItsSegmentIsSkipped) {
  for (const std::string victim : {"10-20.h5", "gop_full.epoch_15.gop.h5"}) {
    log = Log::silent();
    crash_at_27();
    on_root([&] { ASSERT_TRUE(fs::remove(path / ".segments" / victim)); });
    finish_and_compare();
    expect_warning(victim);
    on_root([&] {
      fs::remove_all(path);
      fs::remove_all(folder.path() / "reference");
    });
  }
}

TEST_F(RunBooksTest, ACommitWithADamagedSegmentIsSkipped) {
  crash_at_27();
  on_root([&] {
    auto file = hdf5::open_file_for_update(path / ".segments" / "10-20.h5");
    const double value = 1e9;
    hdf5::write_rows(hdf5::open_dataset(file, "metrics/train_loss"), {3, 4}, DType::float64, &value);
    file.close();
  });
  finish_and_compare();
  expect_warning("10-20.h5");
}

TEST_F(RunBooksTest, ACommitWithADamagedMatrixIsSkipped) {
  crash_at_27();
  on_root([&] {
    auto file = hdf5::open_file_for_update(path / ".segments" / "gop_full.epoch_15.gop.h5");
    const std::vector<double> row(kMatrixCols, 1.0);
    hdf5::write_rows(hdf5::open_dataset(file, "gop"), {kMatrixRows - 1, kMatrixRows}, DType::float64,
                     row.data());
    file.close();
  });
  finish_and_compare();
  expect_warning("gop_full.epoch_15");
}

TEST_F(RunBooksTest, LeftoversAreDeleted) {
  crash_at_27();
  const std::vector<fs::path> leftovers{path / ".segments" / "20-30.h5", path / ".segments" / "pending.tmp",
                                        path / "checkpoints" / "epoch_30.h5.tmp", path / "metrics.h5.tmp"};
  on_root([&] {
    for (const auto& leftover : leftovers) std::ofstream(leftover) << "left by a crash";
  });
  run(path, {.epochs = 0});
  for (const auto& leftover : leftovers) EXPECT_FALSE(fs::exists(leftover)) << leftover;
  check("whole " + path.string());
  finish_and_compare();
}

TEST_F(RunBooksTest, WithoutAnyWholeCheckpointItRefusesToStartOver) {
  run(path, {.epochs = 10});
  on_root([&] { fs::resize_file(path / "checkpoints" / "epoch_10.h5", 100); });
  EXPECT_EQ(code_of([&] { run(path, {}); }), ExitCode::environment);
  EXPECT_TRUE(fs::exists(path / ".segments" / "0-10.h5"));
}

TEST_F(RunBooksTest, MetricsCsvIsCutBackToTheCommit) {
  run(path, {.epochs = 20});
  const auto committed = read_text(path / "metrics.csv");
  EXPECT_TRUE(committed.starts_with("epoch,step,train_loss,test_acc\n0,0,1,nan\n0,1,2,0.5\n")) << committed;
  on_root([&] { fs::remove_all(path); });
  crash_at_27();
  EXPECT_GT(read_text(path / "metrics.csv").size(), committed.size());
  comm.barrier();
  run(path, {.epochs = 0});
  EXPECT_EQ(read_text(path / "metrics.csv"), committed);
}

TEST_F(RunBooksTest, OldCheckpointsAreRetainedAsAsked) {
  auto options = scripted_options();
  options.retention.keep_last = 2;
  options.retention.keep_every = 20;
  run(path, {.epochs = 70}, options);
  std::vector<std::int64_t> epochs;
  for (const auto& entry : list_checkpoints(path)) epochs.push_back(entry.epoch);
  EXPECT_EQ(epochs, (std::vector<std::int64_t>{20, 40, 60, 70}));
  check("whole " + path.string());
}

TEST_F(RunBooksTest, LaunchesAreCountedOverResumes) {
  crash_at_27();
  run(path, {});
  const auto file = hdf5::open_file(path / "metrics.h5");
  const auto launches = read_launches(file);
  ASSERT_EQ(launches.size(), 2U);
  EXPECT_EQ(attribute_value<std::int64_t>(launches[0], "first_epoch"), 0);
  EXPECT_EQ(attribute_value<std::int64_t>(launches[1], "first_epoch"), 20);
}

TEST_F(RunBooksTest, LongTextsOfALaunchSurvive) {
  const std::string diff(100'000, 'd');
  auto directory = open_scripted(comm, path);
  RunWriter writer(comm, directory, log);
  writer.resume();
  writer.set_provenance({{"dirty_diff", diff}, {"git_hash", "abc"}});
  writer.commit(scripted_checkpoint(1, 1));
  writer.close();
  const auto launches = read_launches(hdf5::open_file(path / "metrics.h5"));
  EXPECT_EQ(attribute_value<std::string>(launches.at(0), "dirty_diff"), diff);
  EXPECT_EQ(attribute_value<std::string>(launches.at(0), "git_hash"), "abc");
  directory.close();
}

TEST_F(RunBooksTest, AThousandColumnsOverManyCommits) {
  auto directory = open_scripted(comm, path);
  RunWriter writer(comm, directory, log);
  writer.resume();
  for (std::int64_t epoch = 0; epoch < 9; ++epoch) {
    Record record{"", epoch, epoch, {}};
    for (int layer = 0; layer < 1000; ++layer) {
      record.set({"layers/l" + std::to_string(layer) + "/gop_trace", "", "1", ""},
                 static_cast<double>(epoch) + layer);
    }
    writer.append(record);
    if (epoch % 3 == 2) writer.commit(scripted_checkpoint(epoch + 1, 1));
  }
  if (comm.is_root()) std::printf("commit of 3 rows and 1000 columns: %.3f s\n", writer.last_commit_s());
  writer.close();
  directory.close();
  const auto values = hdf5::read_array(hdf5::open_file(path / "metrics.h5"), "layers/l999/gop_trace");
  ASSERT_EQ(values.shape, std::vector<std::int64_t>{9});
  for (std::size_t row = 0; row < 9; ++row)
    EXPECT_EQ(values.values<double>()[row], 999.0 + static_cast<double>(row));
}

}  // namespace
}  // namespace grokscope
