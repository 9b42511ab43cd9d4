// What was handed over is what the files show, after whatever happened to them. The reader is h5py
// (check_run.py), which knows the formulas of the script and nothing of our code.
#include "io/run_writer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "io/durable_file.hpp"
#include "io/hdf5.hpp"
#include "io/scripted_run.hpp"
#include "temporary_folder.hpp"

namespace grokscope {
namespace {

namespace fs = std::filesystem;

class RunWriterTest : public testing::Test {
 protected:
  Communicator comm = Communicator::duplicate(MPI_COMM_WORLD);
  TemporaryFolder folder{comm};
  fs::path path = folder.path() / "run";
  Log log = Log::silent();
  void TearDown() override {
    folder.remove(comm);
    comm.free();
  }

  void run(const fs::path& where, const Script& script, WriterOptions options = scripted_options()) {
    auto directory = open_scripted(comm, where);
    run_script(comm, directory, log, script, std::move(options));
    directory.close();
    comm.barrier();
  }

  /// Runs the script up to epoch 27 (committed: 20) and leaves as a crash would.
  void crash_at_27() { run(path, {.epochs = 40, .stop_after = 27}); }

  /// Finishes the run in `path` and compares it with one that was never interrupted.
  void finish_and_compare() {
    run(path, {});
    run(folder.path() / "reference", {});
    check("compare " + path.string() + " " + (folder.path() / "reference").string());
    check("whole " + path.string());
  }

  /// Lets h5py judge, from another working directory, so that no link may depend on it.
  void check(const std::string& arguments) {
    const auto command =
        "cd / && " + std::string(GROKSCOPE_PYTHON) + " " + GROKSCOPE_CHECK_RUN + " " + arguments;
    EXPECT_EQ(comm.is_root() ? std::system(command.c_str()) : 0, 0) << arguments;
    comm.barrier();
  }

  void on_root(const std::function<void()>& work) {
    comm.barrier();  // the others may still be reading
    if (comm.is_root()) work();
    comm.barrier();
  }

  /// The root must have warned first of all about something with this text in it.
  void expect_warning(const std::string& text) const {
    if (!comm.is_root()) return;
    ASSERT_FALSE(log.warnings().empty());
    EXPECT_NE(log.warnings().front().text.find(text), std::string::npos) << log.warnings().front().text;
  }
};

TEST_F(RunWriterTest, FilesShowWhatWasHandedOver) {
  run(path, {});
  check("whole " + path.string());
}

TEST_F(RunWriterTest, ViewsExistBeforeTheFirstCommit) {
  run(path, {.epochs = 3});
  check("whole " + path.string());
}

TEST_F(RunWriterTest, LinksSurviveMovingTheDirectory) {
  run(path, {});
  on_root([&] { fs::rename(path, folder.path() / "moved"); });
  check("whole " + (folder.path() / "moved").string());
}

TEST_F(RunWriterTest, BothWaysOfWritingAMatrixGiveTheSame) {
  run(path, {});
  auto options = scripted_options();
  options.own_file_bytes = 1'000'000;
  const auto gathered = folder.path() / "gathered";
  run(gathered, {}, options);
  EXPECT_TRUE(fs::exists(path / ".segments" / "gop_full.epoch_0.gop.h5"));
  EXPECT_FALSE(fs::exists(gathered / ".segments" / "gop_full.epoch_0.gop.h5"));
  check("compare " + path.string() + " " + gathered.string());
}

TEST_F(RunWriterTest, AResumedRunEqualsAnUninterruptedOne) {
  crash_at_27();
  finish_and_compare();
  EXPECT_TRUE(log.warnings().empty());
}

TEST_F(RunWriterTest, LostViewsAreDerivedAgain) {
  crash_at_27();
  on_root([&] {
    for (const auto* name : {"metrics.h5", "gop_full.h5", "gop_layers.h5"}) fs::remove(path / name);
  });
  finish_and_compare();
}

TEST_F(RunWriterTest, ATruncatedCheckpointIsSkipped) {
  crash_at_27();
  on_root([&] {
    const auto newest = path / "checkpoints" / "epoch_20.h5";
    fs::resize_file(newest, fs::file_size(newest) / 2);
  });
  finish_and_compare();
  expect_warning("epoch_20.h5");
}

TEST_F(RunWriterTest, ACheckpointWithAFlippedBitIsSkipped) {
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

TEST_F(RunWriterTest, ACommitWithoutItsSegmentIsSkipped) {
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

TEST_F(RunWriterTest, ACommitWithADamagedSegmentIsSkipped) {
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

TEST_F(RunWriterTest, ACommitWithADamagedMatrixIsSkipped) {
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

TEST_F(RunWriterTest, LeftoversAreDeleted) {
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

TEST_F(RunWriterTest, WithoutAnyWholeCheckpointItRefusesToStartOver) {
  run(path, {.epochs = 10});
  on_root([&] { fs::resize_file(path / "checkpoints" / "epoch_10.h5", 100); });
  EXPECT_EQ(code_of([&] { run(path, {}); }), ExitCode::environment);
  EXPECT_TRUE(fs::exists(path / ".segments" / "0-10.h5"));
}

TEST_F(RunWriterTest, MetricsCsvIsCutBackToTheCommit) {
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

TEST_F(RunWriterTest, OldCheckpointsAreRetainedAsAsked) {
  auto options = scripted_options();
  options.keep_last = 2;
  options.keep_every = 20;
  run(path, {.epochs = 70}, options);
  std::vector<std::int64_t> epochs;
  for (const auto& entry : list_checkpoints(path)) epochs.push_back(entry.epoch);
  EXPECT_EQ(epochs, (std::vector<std::int64_t>{20, 40, 60, 70}));
  check("whole " + path.string());
}

TEST_F(RunWriterTest, LaunchesAreCountedOverResumes) {
  crash_at_27();
  run(path, {});
  const auto file = hdf5::open_file(path / "metrics.h5");
  const auto launches = read_launches(file);
  ASSERT_EQ(launches.size(), 2U);
  EXPECT_EQ(attribute_value<std::int64_t>(launches[0], "first_epoch"), 0);
  EXPECT_EQ(attribute_value<std::int64_t>(launches[1], "first_epoch"), 20);
}

TEST_F(RunWriterTest, ResumeGivesEveryRankTheState) {
  run(path, {.epochs = 10});
  auto directory = open_scripted(comm, path);
  RunWriter writer(comm, directory, log, scripted_options());
  const auto checkpoint = writer.resume();
  ASSERT_TRUE(checkpoint.has_value());
  EXPECT_EQ(checkpoint->epoch, 10);
  EXPECT_EQ(checkpoint->step, 30);
  EXPECT_EQ(attribute_value<std::int64_t>(checkpoint->cursor, "evaluations"), 20);
  EXPECT_EQ(find_array(checkpoint->arrays, "rng/state").values<std::uint64_t>()[0], 70U);
  const auto weight = find_array(checkpoint->arrays, "parameters/embed.weight");
  EXPECT_EQ(weight.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_TRUE(std::isnan(weight.values<double>()[2]));
  writer.close();
  directory.close();
}

TEST_F(RunWriterTest, LongTextsOfALaunchSurvive) {
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

/// Lets every further write to the open file `path` fail as on a full disk. Returns whether the file was
/// open.
bool fill_the_disk_under(const fs::path& path) {
  bool found = false;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (fs::read_symlink(entry.path(), gone) != path) continue;
    const FileDescriptor full("/dev/full", O_RDWR);
    found = ::dup2(full.get(), std::stoi(entry.path().filename().string())) >= 0;
  }
  return found;
}

TEST_F(RunWriterTest, AFullDiskIsReportedAndTheLastCommitStays) {
  run(path, {.epochs = 20});
  auto directory = open_scripted(comm, path);
  RunWriter writer(comm, directory, log, scripted_options());
  writer.resume();
  append_scripted_rows(writer, 20, 1);
  writer.set_group_attributes("gop_full", "epoch_20", {{"epoch", std::int64_t{20}}});
  EXPECT_TRUE(!comm.is_root() || fill_the_disk_under(directory.segments() / "pending.tmp"));
  std::string message;
  try {
    writer.commit(scripted_checkpoint(21, 1));
  } catch (const Error& error) {
    message = error.what();
    EXPECT_EQ(error.code(), ExitCode::environment);
    EXPECT_TRUE(error.on_all_ranks());
  }
  EXPECT_NE(message.find("pending.tmp (No space left on device)"), std::string::npos) << message;
  EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  writer.close();  // and HDF5 must not stumble over the file when MPI ends
  directory.close();
  comm.barrier();
  check("whole " + path.string());
  finish_and_compare();
}

TEST_F(RunWriterTest, AFailureWhileFillingReachesEveryRank) {
  auto directory = open_scripted(comm, path);
  RunWriter writer(comm, directory, log, scripted_options());
  writer.resume();
  const int culprit = comm.size() - 1;
  const auto rows = even_share(kMatrixRows, comm.size(), comm.rank());
  const auto fill = [&](IndexRange, std::span<double>) {
    if (comm.rank() == culprit) throw EnvironmentError("the accelerator is gone");
  };
  for (const int gzip_level : {0, 4}) {
    const MatrixSpec spec{kMatrixRows, kMatrixCols, DType::float64, gzip_level};
    EXPECT_EQ(code_of([&] { writer.write_matrix("gop_full", "epoch_0", "gop", spec, rows, fill); }),
              ExitCode::environment);
  }
  writer.close();
  directory.close();
}

TEST_F(RunWriterTest, AThousandColumnsOverManyCommits) {
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
