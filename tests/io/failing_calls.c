// A disk that fails on request: LD_PRELOAD this, and the k-th system call that touches a folder goes wrong, or the disk is full
// after so many bytes. Used by tests only, never by the program itself. Environment:
//   FAULT_FOLDER  absolute path; only calls on files below it are counted (log.txt, written by stdio, is not)
//   FAULT_AT      which call goes wrong, counted from 1 on; 0 never
//   FAULT_BYTES   instead: writes store so many bytes in all (the last one what still fits), then fail; no space can be claimed
//   FAULT_HOW     ENOSPC, EIO, EACCES, EDQUOT, EROFS: the call fails; short: a write stores half of its bytes and says so; kill:
//                 SIGKILL for this process instead of the call; kill_after: the same after the call
//   FAULT_LASTS   set: every later call of the same kind fails as well, as on a disk that is full
//   FAULT_READS   set: only calls that read are counted; else only those that do not
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
static long bytes_left = -1;  // -1: as many as there are
static const char* how = "EIO";
static int lasts;
static int reads;
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
  if (getenv("FAULT_BYTES") != NULL) bytes_left = atol(getenv("FAULT_BYTES"));
  if (getenv("FAULT_HOW") != NULL) how = strdup(getenv("FAULT_HOW"));
  lasts = getenv("FAULT_LASTS") != NULL;
  reads = getenv("FAULT_READS") != NULL;
}

__attribute__((destructor)) static void end(void) {
  if (folder != NULL && calls > 0) report("end", "");
}

static enum Fault set_errno(void) {
  static const struct { const char* name; int number; } errors[] = {
      {"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EACCES", EACCES}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}};
  errno = EIO;
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i) {
    if (strcmp(how, errors[i].name) == 0) errno = errors[i].number;
  }
  return kFails;
}

static int is_below(const char* path) {
  const size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

// What shall become of this call on `path`.
static enum Fault decide(const char* call, const char* path) {
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

static enum Fault fault_of(const char* call, const char* path) { return reads ? kNone : decide(call, path); }
static enum Fault fault_of_read(const char* call, const char* path) { return reads ? decide(call, path) : kNone; }

// The path of an open file, NULL when there is none.
static const char* path_of(int descriptor) {
  static __thread char path[PATH_MAX];
  char link[64];
  if (folder == NULL) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  return path;
}

// What shall become of a write: `size` becomes what it may store.
static enum Fault fault_of_write(int descriptor, size_t* size) {
  const char* path = path_of(descriptor);
  const enum Fault fault = fault_of("write", path);
  if (fault == kShort && *size > 1) *size /= 2;
  if (fault != kNone || bytes_left < 0 || path == NULL || !is_below(path) || *size == 0) return fault;
  if ((long)*size > bytes_left) *size = (size_t)bytes_left;
  bytes_left -= (long)*size;
  if (*size > 0) return kShort;
  report("write", path);
  if (strcmp(how, "kill") == 0) raise(SIGKILL);
  return set_errno();
}

// The first pieces of a write, no more than `size` bytes of them: their number. The last one is cut in `cut`.
static int cut_pieces(const struct iovec* pieces, int count, size_t size, struct iovec* cut) {
  int kept = 0;
  for (; kept < count && size > 0; ++kept) {
    cut[kept] = pieces[kept];
    if (cut[kept].iov_len > size) cut[kept].iov_len = size;
    size -= cut[kept].iov_len;
  }
  return kept;
}

static void after_call(void) {
  if (folder != NULL && calls == fault_at && strcmp(how, "kill_after") == 0) raise(SIGKILL);
}

#define REAL(name)                     \
  static __typeof__(name)* real = NULL; \
  if (real == NULL) real = (__typeof__(name)*)dlsym(RTLD_NEXT, #name)

#define SIMPLE(name, arguments, values, fault)  \
  int name arguments {                          \
    REAL(name);                                 \
    if ((fault) == kFails) return -1;           \
    const int result = real values;             \
    after_call();                               \
    return result;                              \
  }

SIMPLE(fsync, (int descriptor), (descriptor), fault_of("fsync", path_of(descriptor)))
SIMPLE(fdatasync, (int descriptor), (descriptor), fault_of("fsync", path_of(descriptor)))
SIMPLE(ftruncate, (int descriptor, off_t size), (descriptor, size), fault_of("ftruncate", path_of(descriptor)))
SIMPLE(ftruncate64, (int descriptor, off64_t size), (descriptor, size), fault_of("ftruncate", path_of(descriptor)))
SIMPLE(rename, (const char* from, const char* to), (from, to), fault_of("rename", to))
SIMPLE(mkdir, (const char* path, mode_t mode), (path, mode), fault_of("mkdir", path))

#define WRITE(name, arguments, values)                              \
  ssize_t name arguments {                                          \
    REAL(name);                                                     \
    if (fault_of_write(descriptor, &size) == kFails) return -1;     \
    const ssize_t result = real values;                             \
    after_call();                                                   \
    return result;                                                  \
  }

WRITE(write, (int descriptor, const void* bytes, size_t size), (descriptor, bytes, size))
WRITE(pwrite, (int descriptor, const void* bytes, size_t size, off_t offset), (descriptor, bytes, size, offset))
WRITE(pwrite64, (int descriptor, const void* bytes, size_t size, off64_t offset), (descriptor, bytes, size, offset))

#define WRITE_PIECES(name, arguments, values)                       \
  ssize_t name arguments {                                          \
    REAL(name);                                                     \
    struct iovec cut[IOV_MAX];                                      \
    size_t size = 0;                                                \
    for (int i = 0; i < count; ++i) size += pieces[i].iov_len;      \
    if (fault_of_write(descriptor, &size) == kFails) return -1;     \
    count = cut_pieces(pieces, count, size, cut);                   \
    const ssize_t result = real values;                             \
    after_call();                                                   \
    return result;                                                  \
  }

WRITE_PIECES(writev, (int descriptor, const struct iovec* pieces, int count), (descriptor, cut, count))
WRITE_PIECES(pwritev, (int descriptor, const struct iovec* pieces, int count, off_t offset), (descriptor, cut, count, offset))
WRITE_PIECES(pwritev64, (int descriptor, const struct iovec* pieces, int count, off64_t offset),
             (descriptor, cut, count, offset))

// A disk that may be full at any byte cannot promise space.
static enum Fault fault_of_claim(int descriptor) {
  const char* path = path_of(descriptor);
  if (bytes_left < 0 || path == NULL || !is_below(path)) return fault_of("fallocate", path);
  errno = EOPNOTSUPP;
  return kFails;
}

SIMPLE(fallocate, (int descriptor, int mode, off_t begin, off_t size), (descriptor, mode, begin, size), fault_of_claim(descriptor))
SIMPLE(fallocate64, (int descriptor, int mode, off64_t begin, off64_t size), (descriptor, mode, begin, size),
       fault_of_claim(descriptor))

// Calls that bring bytes back; a short one brings half of them.
#define READ(name, arguments, values)                                     \
  ssize_t name arguments {                                                \
    REAL(name);                                                           \
    const enum Fault fault = fault_of_read("read", path_of(descriptor));  \
    if (fault == kFails) return -1;                                       \
    if (fault == kShort && size > 1) size /= 2;                           \
    return real values;                                                   \
  }

READ(read, (int descriptor, void* bytes, size_t size), (descriptor, bytes, size))
READ(pread, (int descriptor, void* bytes, size_t size, off_t offset), (descriptor, bytes, size, offset))
READ(pread64, (int descriptor, void* bytes, size_t size, off64_t offset), (descriptor, bytes, size, offset))

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
