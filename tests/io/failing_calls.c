// A disk that fails on request: LD_PRELOAD this, and the k-th system call that touches a folder goes wrong.
// Used by failing_calls_test.py and crash_campaign.py; never by the program itself. Environment:
//   FAULT_FOLDER  absolute path; only calls on files below it are counted (log.txt, written by stdio, is not)
//   FAULT_AT      which call goes wrong, counted from 1 on; 0 never
//   FAULT_HOW     ENOSPC, EIO, EACCES: the call fails; short: a write stores half of its bytes and says so; kill: SIGKILL
//                 for this process instead of the call; kill_after: the same after the call
//   FAULT_LASTS   set: every later call of the same kind fails as well, as on a disk that is full
//   FAULT_RANK    only this rank of mpirun's counts
//   FAULT_REPORT  a file that gets "NUMBER CALL PATH" of the call that went wrong, or of all calls where FAULT_AT is 0, and at
//                 exit "NUMBER end"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char* folder;
static long fault_at;
static const char* how = "EIO";
static int lasts;
static long calls;
static char lasting_call[32];

enum Fault { kNone, kFails, kShort };

// By libc's functions: those of the same name are below.
static void report(const char* call, const char* path) {
  const char* file = getenv("FAULT_REPORT");
  if (file == NULL) return;
  char line[PATH_MAX + 64];
  const int length = snprintf(line, sizeof line, "%ld %s %s\n", calls, call, path);
  __typeof__(open)* real_open = (__typeof__(open)*)dlsym(RTLD_NEXT, "open");
  __typeof__(write)* real_write = (__typeof__(write)*)dlsym(RTLD_NEXT, "write");
  const int descriptor = real_open(file, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (descriptor < 0) return;
  if (real_write(descriptor, line, (size_t)length) < 0) errno = 0;
  close(descriptor);
}

__attribute__((constructor)) static void begin(void) {
  const char* rank = getenv("FAULT_RANK");
  const char* mine = getenv("OMPI_COMM_WORLD_RANK");
  const char* path = getenv("FAULT_FOLDER");
  if (path == NULL || (rank != NULL && (mine == NULL || strcmp(rank, mine) != 0))) return;
  folder = strdup(path);
  if (getenv("FAULT_AT") != NULL) fault_at = atol(getenv("FAULT_AT"));
  if (getenv("FAULT_HOW") != NULL) how = strdup(getenv("FAULT_HOW"));
  lasts = getenv("FAULT_LASTS") != NULL;
}

__attribute__((destructor)) static void end(void) {
  if (folder != NULL && calls > 0) report("end", "");
}

static int set_errno(void) {
  errno = strcmp(how, "ENOSPC") == 0 ? ENOSPC : strcmp(how, "EACCES") == 0 ? EACCES : EIO;
  return kFails;
}

static int is_below(const char* path) {
  const size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

// What shall become of this call on `path`.
static enum Fault fault_of(const char* call, const char* path) {
  if (folder == NULL || path == NULL || !is_below(path)) return kNone;
  const long number = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  if (lasting_call[0] != 0 && strcmp(lasting_call, call) == 0) return set_errno();
  if (fault_at == 0) report(call, path);
  if (number != fault_at) return kNone;
  report(call, path);
  if (strcmp(how, "kill") == 0) raise(SIGKILL);
  if (strcmp(how, "kill_after") == 0) return kNone;
  if (strcmp(how, "short") == 0) return kShort;
  if (lasts) strncpy(lasting_call, call, sizeof lasting_call - 1);
  return set_errno();
}

static enum Fault fault_at_descriptor(const char* call, int descriptor) {
  char link[64], path[PATH_MAX];
  if (folder == NULL) return kNone;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return kNone;
  path[length] = 0;
  return fault_of(call, path);
}

static void after_call(void) {
  if (folder != NULL && calls == fault_at && strcmp(how, "kill_after") == 0) raise(SIGKILL);
}

#define REAL(name)                     \
  static __typeof__(name)* real = NULL; \
  if (real == NULL) real = (__typeof__(name)*)dlsym(RTLD_NEXT, #name)

#define SIMPLE(name, call, arguments, values, first, look)        \
  int name arguments {                                            \
    REAL(name);                                              \
    if (look(call, first) == kFails) return -1;                   \
    const int result = real values;                               \
    after_call();                                                 \
    return result;                                                \
  }

SIMPLE(fsync, "fsync", (int descriptor), (descriptor), descriptor, fault_at_descriptor)
SIMPLE(fdatasync, "fsync", (int descriptor), (descriptor), descriptor, fault_at_descriptor)
SIMPLE(ftruncate, "ftruncate", (int descriptor, off_t size), (descriptor, size), descriptor, fault_at_descriptor)
SIMPLE(ftruncate64, "ftruncate", (int descriptor, off64_t size), (descriptor, size), descriptor, fault_at_descriptor)
SIMPLE(rename, "rename", (const char* from, const char* to), (from, to), to, fault_of)
SIMPLE(mkdir, "mkdir", (const char* path, mode_t mode), (path, mode), path, fault_of)

#define WRITE(name, arguments, values, shorter)                                     \
  ssize_t name arguments {                                                          \
    REAL(name);                                                            \
    const enum Fault fault = fault_at_descriptor("write", descriptor);              \
    if (fault == kFails) return -1;                                                 \
    if (fault == kShort) {                                                          \
      shorter;                                                                      \
    }                                                                               \
    const ssize_t result = real values;                                             \
    after_call();                                                                   \
    return result;                                                                  \
  }

WRITE(write, (int descriptor, const void* bytes, size_t size), (descriptor, bytes, size), if (size > 1) size /= 2)
WRITE(pwrite, (int descriptor, const void* bytes, size_t size, off_t offset), (descriptor, bytes, size, offset),
      if (size > 1) size /= 2)
WRITE(pwrite64, (int descriptor, const void* bytes, size_t size, off64_t offset), (descriptor, bytes, size, offset),
      if (size > 1) size /= 2)
WRITE(writev, (int descriptor, const struct iovec* parts, int count), (descriptor, parts, count), if (count > 1) count = 1)
WRITE(pwritev, (int descriptor, const struct iovec* parts, int count, off_t offset), (descriptor, parts, count, offset),
      if (count > 1) count = 1)
WRITE(pwritev64, (int descriptor, const struct iovec* parts, int count, off64_t offset),
      (descriptor, parts, count, offset), if (count > 1) count = 1)

#define OPEN(name)                                                                  \
  int name(const char* path, int flags, ...) {                                      \
    REAL(name);                                                                \
    va_list more;                                                                   \
    va_start(more, flags);                                                          \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                                   \
    if (fault_of("open", path) == kFails) return -1;                                \
    const int result = real(path, flags, mode);                                     \
    after_call();                                                                   \
    return result;                                                                  \
  }

OPEN(open)
OPEN(open64)
