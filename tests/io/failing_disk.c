/* A disk that fails: a library to load before the others (LD_PRELOAD). Writes to files whose name contains FAULT_FILE fail
 * once this process has written FAULT_BYTES to them: with the error number FAULT_ERROR, or, where that is 0, by the death of
 * the process in the middle of the write. Only on rank FAULT_RANK of mpirun. The space of files cannot be claimed ahead. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static long long written = 0;

static int is_watched(int file) {
  const char *name = getenv("FAULT_FILE"), *rank = getenv("FAULT_RANK"), *mine = getenv("OMPI_COMM_WORLD_RANK");
  if (name == NULL || (rank != NULL && strcmp(rank, mine != NULL ? mine : "0") != 0)) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return strstr(path, name) != NULL;
}

/* How much of a write still fits; sets errno, or ends the process, where nothing does. */
static size_t room_for(size_t bytes) {
  const long long room = atoll(getenv("FAULT_BYTES")) - written;
  const size_t fits = room <= 0 ? 0 : (long long)bytes < room ? bytes : (size_t)room;
  written += (long long)fits;
  return fits;
}

static ssize_t refuse(void) {
  const int error = atoi(getenv("FAULT_ERROR"));
  if (error == 0) raise(SIGKILL);
  errno = error;
  return -1;
}

static size_t total(const struct iovec *pieces, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += pieces[i].iov_len;
  return bytes;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* What fits is written, as a full disk does it; the next call fails. */
#define LIMITED(name)                                                             \
  ssize_t name(int file, const void *data, size_t bytes, off64_t place) {         \
    if (!is_watched(file)) return REAL(name)(file, data, bytes, place);           \
    const size_t fits = room_for(bytes);                                          \
    return fits == 0 && bytes > 0 ? refuse() : REAL(name)(file, data, fits, place); \
  }
LIMITED(pwrite)
LIMITED(pwrite64)

ssize_t write(int file, const void *data, size_t bytes) {
  if (!is_watched(file)) return REAL(write)(file, data, bytes);
  const size_t fits = room_for(bytes);
  return fits == 0 && bytes > 0 ? refuse() : REAL(write)(file, data, fits);
}

/* Writes of several pieces are all or nothing. */
#define ALL_OR_NOTHING(name, parameters, arguments)     \
  ssize_t name parameters {                             \
    if (!is_watched(file)) return REAL(name) arguments; \
    const size_t bytes = total(pieces, count);          \
    if (room_for(bytes) < bytes) return refuse();       \
    return REAL(name) arguments;                        \
  }
ALL_OR_NOTHING(writev, (int file, const struct iovec *pieces, int count), (file, pieces, count))
ALL_OR_NOTHING(pwritev, (int file, const struct iovec *pieces, int count, off64_t place), (file, pieces, count, place))
ALL_OR_NOTHING(pwritev64, (int file, const struct iovec *pieces, int count, off64_t place), (file, pieces, count, place))

static int claim(int file) {
  if (!is_watched(file)) return 0;
  errno = EOPNOTSUPP;
  return -1;
}

int fallocate(int file, int mode, off64_t begin, off64_t size) {
  return claim(file) != 0 ? -1 : REAL(fallocate)(file, mode, begin, size);
}
int fallocate64(int file, int mode, off64_t begin, off64_t size) {
  return claim(file) != 0 ? -1 : REAL(fallocate64)(file, mode, begin, size);
}
