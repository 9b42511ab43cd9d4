// Does a file reach the disk although signals arrive meanwhile? The calls below stand before libc's in this program, and fail as
// those of a network file system do, which a signal interrupts.
#include "io/durable_file.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdarg>

#include "io/folder_test.hpp"

namespace {

int interruptions = 0;  ///< that are still to come
int error_number = EINTR;

bool fails() {
  if (interruptions == 0) return false;
  --interruptions;
  errno = error_number;
  return true;
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return fails() ? -1 : real<int(const char*, int, mode_t)>("open")(path, flags, mode);
}

extern "C" int fsync(int descriptor) { return fails() ? -1 : real<int(int)>("fsync")(descriptor); }

namespace grokscope {
namespace {

class DurableFileTest : public FolderTest {
 protected:
  void TearDown() override {
    interruptions = 0;
    error_number = EINTR;
    FolderTest::TearDown();
  }
};

TEST_F(DurableFileTest, InterruptedCallsAreMadeAgain) {
  const auto path = folder.path() / "text";
  interruptions = 3;
  write_text_durably(path, "all of it");
  EXPECT_EQ(interruptions, 0);
  interruptions = 2;
  EXPECT_EQ(read_text(path), "all of it");
  const FileDescriptor file(path, O_WRONLY);
  interruptions = 2;
  file.sync();
  EXPECT_EQ(interruptions, 0);
}

TEST_F(DurableFileTest, OtherFailuresAreReported) {
  error_number = EIO;
  interruptions = 1;
  EXPECT_THROW(write_text_durably(folder.path() / "text", "some"), DiskError);
  const FileDescriptor file(folder.path() / "text", O_WRONLY | O_CREAT);
  interruptions = 1;
  EXPECT_THROW(file.sync(), DiskError);
}

}  // namespace
}  // namespace grokscope
