// A folder in which the scripted run is run, damaged, resumed and judged by h5py. For the tests of what
// survives.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "io/folder_test.hpp"
#include "io/scripted_run.hpp"

namespace grokscope {

namespace fs = std::filesystem;

class ScriptedRunTest : public FolderTest {
 protected:
  fs::path path = folder.path() / "run";
  Log log = Log::silent();

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

}  // namespace grokscope
