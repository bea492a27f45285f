/*
 * Preloaded into a broker (LD_PRELOAD), so that a test can do to it what a disk and a clock do:
 *
 * - notes what was made durable: after each successful fsync or fdatasync, how long the file was
 *   when it began; so that a loss of power can be made by cutting files to their durable lengths;
 * - lets fsync and fdatasync fail with EIO, as a dying disk does;
 * - lets them take longer;
 * - moves the wall clock;
 * - lowers the limit of open file descriptors, which nobody but the process itself (or a host's
 *   privileged user) may do.
 *
 * It is told what to do by a page of memory that it shares with the test: the file `control` in the
 * directory that CHAOS_DIR names. What it notes goes to the file `synced` beside it, in records of 32
 * bytes, appended by one write each, so that the note outlives a process that is killed.
 *
 * Limits: writes through a mapping are not seen (LevelDB 1.20 and Node make none), and a file is
 * known by device and inode, from when it was opened empty for writing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
  /* 1: every sync fails; 0: none. */
  int64_t sync_fails;
  int64_t sync_delay_us;
  int64_t wall_offset_ms;
  /* Soft limit of descriptors; 0: leave it alone. */
  int64_t descriptors;
  /* Counted here, for the test to see that it had an effect. */
  int64_t syncs_failed;
};

enum { CREATED = 1, SYNCED = 2 };

struct note {
  int64_t kind;
  uint64_t device;
  uint64_t inode;
  int64_t size;
};

static volatile struct control *control;
static int notes = -1;
static int64_t descriptors_now;

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_open)(const char *, int, ...);
static int (*real_open64)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_gettimeofday)(struct timeval *, void *);

__attribute__((constructor)) static void begin(void) {
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_open = dlsym(RTLD_NEXT, "open");
  real_open64 = dlsym(RTLD_NEXT, "open64");
  real_openat = dlsym(RTLD_NEXT, "openat");
  real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
  const char *directory = getenv("CHAOS_DIR");
  if (directory == NULL) return;
  char path[4096];
  snprintf(path, sizeof path, "%s/control", directory);
  int fd = real_open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page == MAP_FAILED) return;
  snprintf(path, sizeof path, "%s/synced", directory);
  notes = real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  control = page;
}

static void write_note(int64_t kind, const struct stat *file, int64_t size) {
  if (notes < 0) return;
  struct note note = {kind, (uint64_t)file->st_dev, (uint64_t)file->st_ino, size};
  int before = errno;
  ssize_t written = write(notes, &note, sizeof note);
  (void)written;
  errno = before;
}

static void obey_descriptors(void) {
  int64_t wanted = control->descriptors;
  if (wanted == descriptors_now) return;
  descriptors_now = wanted;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = wanted == 0 || (rlim_t)wanted > limit.rlim_max ? limit.rlim_max : (rlim_t)wanted;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static int sync_file(int fd, int (*real)(int)) {
  struct stat file;
  int known = control != NULL && fstat(fd, &file) == 0;
  if (control != NULL) {
    int64_t delay = control->sync_delay_us;
    if (delay > 0) usleep((useconds_t)delay);
    if (control->sync_fails != 0) {
      __atomic_add_fetch(&control->syncs_failed, 1, __ATOMIC_RELAXED);
      errno = EIO;
      return -1;
    }
  }
  int result = real(fd);
  /* What was written since the sync began may be durable or not: the length from before counts. */
  if (result == 0 && known && S_ISREG(file.st_mode)) write_note(SYNCED, &file, file.st_size);
  return result;
}

int fsync(int fd) { return sync_file(fd, real_fsync); }
int fdatasync(int fd) { return sync_file(fd, real_fdatasync); }

/* A new file may have the inode of one that was removed: what is known of that is void. */
static int opened(int fd, int flags) {
  struct stat file;
  if (control == NULL) return fd;
  obey_descriptors();
  if (fd < 0 || (flags & O_ACCMODE) == O_RDONLY) return fd;
  if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size == 0) {
    write_note(CREATED, &file, 0);
  }
  return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return opened(real_open(path, flags, mode), flags);
}

int open64(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return opened(real_open64(path, flags, mode), flags);
}

int openat(int directory, const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return opened(real_openat(directory, path, flags, mode), flags);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (real_clock_gettime == NULL) real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real_clock_gettime(clock, time);
  if (control == NULL) return result;
  obey_descriptors();
  if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += control->wall_offset_ms / 1000;
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  if (real_gettimeofday == NULL) real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
  int result = real_gettimeofday(time, zone);
  if (result == 0 && control != NULL) time->tv_sec += control->wall_offset_ms / 1000;
  return result;
}
