// What was handed over is what the files show, on any number of ranks. The reader is h5py (check_run.py),
// which knows the formulas of the script and nothing of our code.
#include "io/run_writer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "io/durable_file.hpp"
#include "io/scripted_run_test.hpp"

namespace grokscope {
namespace {

class RunWriterTest : public ScriptedRunTest {};

TEST_F(RunWriterTest, FilesShowWhatWasHandedOver) {
  run(path, {});
  check("whole " + path.string());
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

TEST_F(RunWriterTest, ATruncatedCheckpointIsSkipped) {
  crash_at_27();
  on_root([&] {
    const auto newest = path / "checkpoints" / "epoch_20.h5";
    fs::resize_file(newest, fs::file_size(newest) / 2);
  });
  finish_and_compare();
  expect_warning("epoch_20.h5");
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

TEST_F(RunWriterTest, AMatrixWhoseCommitFailsAtItsCheckpointIsTakenUpWhole) {
  MatrixSpec spec{kMatrixRows, kMatrixCols, DType::float64};
  spec.identity = 7;
  const auto rows = even_share(kMatrixRows, comm.size(), comm.rank());
  std::int64_t filled = 0;
  const auto fill = [&](IndexRange part, std::span<double> out) {
    filled += part.size();
    fill_matrix(0, kMatrixCols)(part, out);
  };
  for (const bool fails : {true, false}) {
    auto directory = open_scripted(comm, path);
    RunWriter writer(comm, directory, log, scripted_options());
    writer.resume();
    filled = 0;
    writer.write_matrix("gop_full", "epoch_0", "gop", spec, rows, fill);
    EXPECT_EQ(filled, fails ? rows.size() : 0);
    // A folder under its temporary name: the checkpoint cannot be written.
    if (fails) on_root([&] { fs::create_directories(directory.checkpoints() / "epoch_1.h5.tmp"); });
    EXPECT_EQ(code_of([&] { writer.commit(scripted_checkpoint(1, 1)); }), fails ? ExitCode::environment : ExitCode::done);
    writer.close();
    directory.close();
  }
  EXPECT_TRUE(fs::exists(path / ".segments" / "gop_full.epoch_0.gop.h5"));
  EXPECT_FALSE(fs::exists(path / ".work"));
}

TEST_F(RunWriterTest, AMatrixThatIsStoppedGoesOnAtThePanelWhereItWas) {
  const auto rows = even_share(kMatrixRows, comm.size(), comm.rank());
  for (const int gzip_level : {0, 4}) {
    const auto where = path / std::to_string(gzip_level);
    MatrixSpec spec{kMatrixRows, kMatrixCols, DType::float64, gzip_level};
    spec.identity = 7;
    int starts = 0;
    std::int64_t filled = 0;
    auto options = scripted_options();
    options.panel_bytes = kMatrixCols * 8;  // one row: more than one round on any number of ranks here
    const auto write = [&](int last_start) {
      starts = 0;
      filled = 0;
      options.panel_begins = [&] { if (++starts > last_start) throw StopRequested("enough"); };
      auto directory = open_scripted(comm, where);
      RunWriter writer(comm, directory, log, options);
      writer.resume();
      const auto code = code_of([&] {
        writer.write_matrix("gop_full", "epoch_0", "gop", spec, rows, [&](IndexRange part, std::span<double> out) {
          filled += part.size();
          fill_matrix(0, kMatrixCols)(part, out);
        });
        writer.commit(scripted_checkpoint(1, 1));
      });
      writer.close();
      directory.close();
      return code;
    };
    EXPECT_EQ(write(1), ExitCode::requeue);
    const auto before = filled;
    EXPECT_GT(before, 0);
    EXPECT_EQ(write(1000), ExitCode::done);
    EXPECT_EQ(before + filled, rows.size());
    EXPECT_TRUE(fs::exists(where / ".segments" / "gop_full.epoch_0.gop.h5"));
  }
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

}  // namespace
}  // namespace grokscope
