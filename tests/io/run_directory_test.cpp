// A directory is created, reopened, refused and emptied as it should be; the same answer reaches every rank.
#include "io/run_directory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "io/durable_file.hpp"
#include "io/folder_test.hpp"

namespace grokscope {
namespace {

namespace fs = std::filesystem;

class RunDirectoryTest : public FolderTest {
 protected:
  fs::path path = folder.path() / "results" / "09_levi_linear";

  RunDirectory open(const std::string& fingerprint, OpenMode mode = OpenMode::resume) {
    return RunDirectory::open(comm, path, {fingerprint, "lr: 0.1\n", R"({"lr": 0.1})", "lr: 0.1 # mine\n"},
                              mode, [](const std::string& stored) { return "was " + stored; });
  }

  /// Returns the error of opening, on every rank, and its exit code.
  std::string refusal(const std::string& fingerprint, ExitCode code, OpenMode mode = OpenMode::resume) {
    try {
      open(fingerprint, mode);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_TRUE(error.on_all_ranks());
      return error.what();
    }
    return "no refusal";
  }

  void put(const fs::path& file, const std::string& text) {
    if (comm.is_root()) {
      fs::create_directories(file.parent_path());
      write_text_durably(file, text);
    }
    comm.barrier();
  }
};

TEST_F(RunDirectoryTest, CreatesItsFilesAndReopens) {
  auto directory = open("abc");
  EXPECT_TRUE(fs::is_directory(directory.segments()));
  EXPECT_TRUE(fs::is_directory(directory.checkpoints()));
  EXPECT_EQ(read_text(path / "config.yaml"), "lr: 0.1\n");
  EXPECT_EQ(read_text(path / "input.yaml"), "lr: 0.1 # mine\n");
  const auto config = nlohmann::json::parse(read_text(path / "config.json"));
  EXPECT_EQ(config["lr"], 0.1);
  EXPECT_EQ(config["fingerprint"], "abc");
  directory.close();
  comm.barrier();
  open("abc").close();
}

TEST_F(RunDirectoryTest, IsAnybodysUntilSomethingCameOfIt) {
  open("abc").close();  // and then, say, a key was misspelt
  comm.barrier();
  open("def").close();
  EXPECT_EQ(stored_fingerprint(path), "def");
  put(path / "checkpoints" / "epoch_0.h5", "");
  EXPECT_NE(refusal("abc", ExitCode::user).find("another experiment"), std::string::npos);
}

TEST_F(RunDirectoryTest, DeletesARunUnlessItIsInUse) {
  auto directory = open("abc");
  put(path / "data.h5", "");
  put(path / "notes.txt", "mine");
  comm.barrier();
  if (comm.is_root()) {
    EXPECT_THROW(delete_run(path), UserError);
    EXPECT_TRUE(fs::exists(path / "data.h5"));
  }
  comm.barrier();
  directory.close();
  if (comm.is_root()) {
    delete_run(path);
    EXPECT_FALSE(fs::exists(path / "data.h5") || fs::exists(path / "config.json"));
    EXPECT_TRUE(fs::exists(path / "notes.txt"));
    delete_run(path);  // there is none: nothing to do
  }
}

TEST_F(RunDirectoryTest, RefusesAnotherExperiment) {
  open("abc").close();
  comm.barrier();
  put(path / "data.h5", "");
  const auto message = refusal("def", ExitCode::user);
  EXPECT_NE(message.find("was lr: 0.1"), std::string::npos) << message;
  EXPECT_NE(message.find(path.string()), std::string::npos) << message;
}

TEST_F(RunDirectoryTest, RefusesForeignFiles) {
  put(path / "thesis.tex", "precious");
  EXPECT_NE(refusal("abc", ExitCode::user).find("'thesis.tex'"), std::string::npos);
  EXPECT_NE(refusal("abc", ExitCode::user, OpenMode::fresh).find("'thesis.tex'"), std::string::npos);
  EXPECT_EQ(read_text(path / "thesis.tex"), "precious");
  EXPECT_FALSE(fs::exists(path / ".lock"));
}

TEST_F(RunDirectoryTest, GoesOnWhereCreationWasInterrupted) {
  put(path / "config.yaml.tmp", "half a fi");
  put(path / "input.yaml", "lr: 0.1");
  open("abc").close();
  EXPECT_TRUE(fs::exists(path / "config.json"));
}

TEST_F(RunDirectoryTest, FreshDeletesOnlyWhatWeWrote) {
  open("abc").close();
  put(path / "metrics.h5", "old");
  put(path / ".segments" / "0-10.h5", "old");
  put(path / "checkpoints" / "epoch_10.h5", "old");
  put(path / "plots" / "summary.png", "kept");
  put(path / "notes.txt", "kept");
  auto directory = open("def", OpenMode::fresh);
  EXPECT_FALSE(fs::exists(path / "metrics.h5"));
  EXPECT_TRUE(fs::is_empty(directory.segments()));
  EXPECT_TRUE(fs::is_empty(directory.checkpoints()));
  EXPECT_EQ(read_text(path / "plots" / "summary.png"), "kept");
  EXPECT_EQ(read_text(path / "notes.txt"), "kept");
  EXPECT_EQ(nlohmann::json::parse(read_text(path / "config.json"))["fingerprint"], "def");
  directory.close();
}

TEST_F(RunDirectoryTest, SaysWhoseItIsAndHowItStands) {
  EXPECT_EQ(stored_fingerprint(path), std::nullopt);
  EXPECT_FALSE(read_status(path).has_value());
  comm.barrier();
  auto directory = open("abc");
  EXPECT_EQ(stored_fingerprint(path), "abc");
  for (const auto state : {RunState::running, RunState::checkpointed, RunState::done, RunState::failed}) {
    if (comm.is_root()) directory.write_status({state, "a \"reason\"", 75, {}});
    comm.barrier();
    const auto status = read_status(path);
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->state, state);
    EXPECT_EQ(status->reason, "a \"reason\"");
    EXPECT_EQ(status->exit_code, 75);
    comm.barrier();
  }
  put(path / "STATUS", "half a fi");
  EXPECT_FALSE(read_status(path).has_value());
  directory.close();
}

TEST_F(RunDirectoryTest, TheLockNamesItsHolderAndDiesWithIt) {
  auto first = open("abc");
  std::int64_t pid = comm.broadcast_value(static_cast<std::int64_t>(::getpid()));
  const auto message = refusal("abc", ExitCode::user);
  EXPECT_NE(message.find("process " + std::to_string(pid) + " on "), std::string::npos) << message;
  EXPECT_NE(refusal("abc", ExitCode::user, OpenMode::fresh).find("in use"), std::string::npos);
  EXPECT_TRUE(fs::exists(path / "config.json"));
  first.close();
  comm.barrier();
  open("abc").close();
}

TEST_F(RunDirectoryTest, NamesAPathThatCannotBe) {
  put(folder.path() / "results", "a file where a folder should be");
  const auto message = refusal("abc", ExitCode::environment);
  EXPECT_NE(message.find(path.string() + " (Not a directory)"), std::string::npos) << message;
}

TEST_F(RunDirectoryTest, NamesADirectoryThatCannotBeWritten) {
  if (comm.is_root()) {
    fs::create_directories(path.parent_path());
    ::chmod(folder.path().c_str(), 0755);
    ::chmod(path.parent_path().c_str(), 0555);
  }
  comm.barrier();
  const auto user = ::geteuid();
  const bool dropped = user == 0 && ::seteuid(65534) == 0;  // root may write anywhere
  const auto message = refusal("abc", ExitCode::environment);
  ASSERT_EQ(dropped ? ::seteuid(user) : 0, 0);
  EXPECT_NE(message.find(path.string() + " (Permission denied)"), std::string::npos) << message;
}

TEST_F(RunDirectoryTest, StatusIsReplacedWhole) {
  auto directory = open("abc");
  if (comm.is_root()) {
    directory.write_status({RunState::running, "", 0, {}});
    directory.write_status({RunState::checkpointed, "time limit", 75, {{"epoch", std::int64_t{40}}}});
    const auto status = nlohmann::json::parse(read_text(path / "STATUS"));
    EXPECT_EQ(status["state"], "checkpointed");
    EXPECT_EQ(status["reason"], "time limit");
    EXPECT_EQ(status["exit_code"], 75);
    EXPECT_EQ(status["epoch"], 40);
  }
  directory.close();
}

TEST_F(RunDirectoryTest, DataAreWrittenOnceAndCheckedAfterwards) {
  auto directory = open("abc");
  const std::vector<std::int64_t> ids{4, 2};
  const std::vector<float> inputs{1, 2, 3, 4};
  std::vector<NamedArray> arrays{NamedArray::from<std::int64_t>("train/ids", {2}, ids),
                                 NamedArray::from<float>("train/inputs", {2, 2}, inputs)};
  directory.write_data(comm, arrays);
  const auto written = fs::last_write_time(path / "data.h5");
  directory.write_data(comm, arrays);
  EXPECT_EQ(fs::last_write_time(path / "data.h5"), written);
  const auto back = read_data(path / "data.h5");
  ASSERT_EQ(back.size(), 2U);
  EXPECT_EQ(find_array(back, "train/inputs").bytes, arrays[1].bytes);
  arrays[1].bytes[0] ^= std::byte{1};
  EXPECT_EQ(code_of([&] { directory.write_data(comm, arrays); }), ExitCode::environment);
  directory.close();
}

}  // namespace
}  // namespace grokscope
