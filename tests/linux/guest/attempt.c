// daxtool try FILE OPERATION...: uses a file in every way there is, one operation in a process of its own each, and
// prints what came of it: "OPERATION RESULT", where the result is "ok" and what it returned, the name of an error, the
// name of the signal that ended the process, or "hangs" (after HANG_SECONDS; it is left behind then).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/linux/guest/daxtool.h"

#define CHUNK (2UL << 20)
#define PAGE 4096UL
#define HANG_SECONDS 10

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

struct file {
  const char* name;
  uint64_t size;
};

// Each returns what the system call did: -1 with errno for a failure.
typedef long (*operation)(const struct file* file);

static uint8_t buffer[4 * CHUNK] __attribute__((aligned(4096)));

static int opened(const struct file* file, int flags) {
  int fd = open(file->name, flags);
  if (fd < 0) {
    printf("open: ");
    fflush(stdout);
  }
  return fd;
}

static long read_at(const struct file* file, int flags, size_t length, off_t offset) {
  int fd = opened(file, flags);
  return fd < 0 ? -1 : pread(fd, buffer, length, offset);
}

static long write_at(const struct file* file, int flags, size_t length, off_t offset) {
  memset(buffer, 'w', length);
  int fd = opened(file, flags);
  return fd < 0 ? -1 : pwrite(fd, buffer, length, offset);
}

static long op_open(const struct file* file) { return opened(file, O_RDWR) < 0 ? -1 : 0; }
static long op_read_page(const struct file* file) { return read_at(file, O_RDONLY, PAGE, 0); }
static long op_read_chunk(const struct file* file) { return read_at(file, O_RDONLY, CHUNK, 0); }
// From the first chunk into the second.
static long op_read_across(const struct file* file) { return read_at(file, O_RDONLY, CHUNK, CHUNK / 2); }
static long op_read_second(const struct file* file) { return read_at(file, O_RDONLY, PAGE, CHUNK); }
static long op_read_direct(const struct file* file) { return read_at(file, O_RDONLY | O_DIRECT, PAGE, 0); }
static long op_read_past_end(const struct file* file) { return read_at(file, O_RDONLY, PAGE, (off_t)file->size); }
static long op_write_page(const struct file* file) { return write_at(file, O_RDWR, PAGE, 0); }
static long op_write_second(const struct file* file) { return write_at(file, O_RDWR, PAGE, CHUNK); }
static long op_write_across(const struct file* file) { return write_at(file, O_RDWR, CHUNK, CHUNK / 2); }
static long op_write_over_end(const struct file* file) {
  return write_at(file, O_RDWR, 2 * PAGE, (off_t)(file->size - PAGE));
}
static long op_append(const struct file* file) { return write_at(file, O_WRONLY | O_APPEND, PAGE, 0); }

static uint8_t* mapped(const struct file* file, int protection, int flags) {
  int fd = opened(file, O_RDWR);
  return fd < 0 ? MAP_FAILED : mmap(NULL, file->size, protection, flags, fd, 0);
}

static long touch(const struct file* file, int flags, bool store, uint64_t offset) {
  volatile uint8_t* bytes = mapped(file, PROT_READ | PROT_WRITE, flags);
  if (bytes == MAP_FAILED) return -1;
  if (store) bytes[offset] = 's';
  return bytes[offset];
}

static long op_load_shared(const struct file* file) { return touch(file, MAP_SHARED, false, 0); }
static long op_load_second(const struct file* file) { return touch(file, MAP_SHARED, false, CHUNK); }
// A chunk that the file does not fill cannot be mapped by a huge page.
static long op_load_last(const struct file* file) { return touch(file, MAP_SHARED, false, file->size - 1); }
static long op_store_shared(const struct file* file) { return touch(file, MAP_SHARED, true, 0); }
static long op_load_then_store(const struct file* file) {
  volatile uint8_t* bytes = mapped(file, PROT_READ | PROT_WRITE, MAP_SHARED);
  if (bytes == MAP_FAILED) return -1;
  const uint8_t first = bytes[PAGE];
  printf("loaded, ");
  fflush(stdout);
  bytes[PAGE] = first;
  return 0;
}
static long op_load_private(const struct file* file) { return touch(file, MAP_PRIVATE, false, 0); }
static long op_store_private(const struct file* file) { return touch(file, MAP_PRIVATE, true, 0); }
static long op_map_populate(const struct file* file) {
  return mapped(file, PROT_READ, MAP_SHARED | MAP_POPULATE) == MAP_FAILED ? -1 : 0;
}
static long op_madvise_populate(const struct file* file) {
  uint8_t* bytes = mapped(file, PROT_READ, MAP_SHARED);
  return bytes == MAP_FAILED ? -1 : madvise(bytes, PAGE, MADV_POPULATE_READ);
}
static long op_mlock(const struct file* file) {
  uint8_t* bytes = mapped(file, PROT_READ, MAP_SHARED);
  return bytes == MAP_FAILED ? -1 : mlock(bytes, PAGE);
}
// A system call that reads its source from the mapping.
static long op_write_from_mapping(const struct file* file) {
  uint8_t* bytes = mapped(file, PROT_READ, MAP_SHARED);
  int fd = memfd_create("to", 0);
  return bytes == MAP_FAILED || fd < 0 ? -1 : write(fd, bytes, PAGE);
}

static long op_readahead(const struct file* file) {
  int fd = opened(file, O_RDONLY);
  return fd < 0 ? -1 : readahead(fd, 0, CHUNK);
}
static long op_fadvise(const struct file* file) {
  int fd = opened(file, O_RDONLY);
  if (fd < 0) return -1;
  errno = posix_fadvise(fd, 0, CHUNK, POSIX_FADV_WILLNEED);
  return errno == 0 ? 0 : -1;
}
static long op_sendfile(const struct file* file) {
  int from = opened(file, O_RDONLY);
  int to = memfd_create("to", 0);
  return from < 0 || to < 0 ? -1 : sendfile(to, from, NULL, CHUNK);
}
static long op_splice(const struct file* file) {
  int from = opened(file, O_RDONLY);
  int ends[2];
  return from < 0 || pipe(ends) < 0 ? -1 : splice(from, NULL, ends[1], NULL, PAGE, 0);
}
static long op_copy_file_range(const struct file* file) {
  char name[512];
  snprintf(name, sizeof(name), "%s.copy", file->name);
  int from = opened(file, O_RDONLY);
  int to = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);
  return from < 0 || to < 0 ? -1 : copy_file_range(from, NULL, to, NULL, CHUNK, 0);
}

static long run(const char* name, char* const* arguments, bool search) {
  fcntl(STDOUT_FILENO, F_SETFD, 0);
  return search ? execvp(name, arguments) : execv(name, arguments);
}
static long op_exec(const struct file* file) {
  char* arguments[] = {(char*)"daxtool", (char*)"say", (char*)"ok (ran)", NULL};
  return run(file->name, arguments, false);
}
// By PATH, which holds a second program of that name further on.
static long op_exec_by_path(const struct file* file) {
  char path[1024];
  const char* slash = strrchr(file->name, '/');
  snprintf(path, sizeof(path), "%.*s:/tmp/path", (int)(slash - file->name), file->name);
  setenv("PATH", path, 1);
  char* arguments[] = {(char*)"daxtool", (char*)"say", (char*)"ok (ran)", NULL};
  return run(slash + 1, arguments, true);
}

static long op_fsync(const struct file* file) {
  int fd = opened(file, O_RDWR);
  return fd < 0 ? -1 : fsync(fd);
}
static long op_truncate(const struct file* file) { return truncate(file->name, (off_t)(file->size - PAGE)); }
static long op_open_truncate(const struct file* file) { return opened(file, O_RDWR | O_TRUNC) < 0 ? -1 : 0; }
static long op_fallocate(const struct file* file) {
  int fd = opened(file, O_RDWR);
  return fd < 0 ? -1 : fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, PAGE);
}
static long op_seek_data(const struct file* file) {
  int fd = opened(file, O_RDONLY);
  return fd < 0 ? -1 : lseek(fd, 0, SEEK_DATA);
}
// Many refusals, to see that none costs a range of the window.
static long op_read_100_times(const struct file* file) {
  int fd = opened(file, O_RDONLY);
  if (fd < 0) return -1;
  long result = 0;
  for (int i = 0; i < 100; ++i) result = pread(fd, buffer, PAGE, 0);
  return result;
}
static sigjmp_buf out_of_load;
static void leave_load(int number) { siglongjmp(out_of_load, number); }
// Returns how many loads ended in SIGBUS.
static long op_load_100_times(const struct file* file) {
  volatile uint8_t* bytes = mapped(file, PROT_READ, MAP_SHARED);
  if (bytes == MAP_FAILED) return -1;
  signal(SIGBUS, leave_load);
  volatile long refused = 0;
  for (volatile int i = 0; i < 100; ++i) {
    if (sigsetjmp(out_of_load, 1) != 0) {
      ++refused;
    } else {
      (void)bytes[0];
    }
  }
  return refused;
}

static const struct {
  const char* name;
  operation run;
} operations[] = {
    {"open", op_open},
    {"read-page", op_read_page},
    {"read-chunk", op_read_chunk},
    {"read-across", op_read_across},
    {"read-second", op_read_second},
    {"read-direct", op_read_direct},
    {"read-past-end", op_read_past_end},
    {"write-page", op_write_page},
    {"write-second", op_write_second},
    {"write-across", op_write_across},
    {"write-over-end", op_write_over_end},
    {"append", op_append},
    {"load-shared", op_load_shared},
    {"load-second", op_load_second},
    {"load-last", op_load_last},
    {"store-shared", op_store_shared},
    {"load-then-store", op_load_then_store},
    {"load-private", op_load_private},
    {"store-private", op_store_private},
    {"map-populate", op_map_populate},
    {"madvise-populate", op_madvise_populate},
    {"mlock", op_mlock},
    {"write-from-mapping", op_write_from_mapping},
    {"readahead", op_readahead},
    {"fadvise", op_fadvise},
    {"sendfile", op_sendfile},
    {"splice", op_splice},
    {"copy-file-range", op_copy_file_range},
    {"exec", op_exec},
    {"exec-by-path", op_exec_by_path},
    {"fsync", op_fsync},
    {"truncate", op_truncate},
    {"open-truncate", op_open_truncate},
    {"fallocate", op_fallocate},
    {"seek-data", op_seek_data},
    {"read-100-times", op_read_100_times},
    {"load-100-times", op_load_100_times},
};

static operation find_operation(const char* name) {
  for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); ++i) {
    if (strcmp(operations[i].name, name) == 0) return operations[i].run;
  }
  return NULL;
}

// In the child. Does not return.
static void attempt(operation run_operation, const struct file* file) {
  errno = 0;
  const long result = run_operation(file);
  if (result < 0) {
    printf("%s\n", strerrorname_np(errno));
  } else {
    printf("ok %ld\n", result);
  }
  fflush(stdout);
  _exit(0);
}

// The child's end, or "hangs".
static void await(pid_t child) {
  const time_t until = time(NULL) + HANG_SECONDS;
  int status = 0;
  pid_t done;
  while ((done = waitpid(child, &status, WNOHANG)) == 0 && time(NULL) <= until) usleep(10000);
  if (done == 0) {
    kill(child, SIGKILL);
    usleep(1000000);
    printf("hangs%s\n", waitpid(child, &status, WNOHANG) == 0 ? ", and cannot be killed" : "");
  } else if (WIFSIGNALED(status)) {
    printf("SIG%s\n", sigabbrev_np(WTERMSIG(status)));
  }
  fflush(stdout);
}

int try_operations(const char* name, int count, char** names) {
  struct stat st;
  if (stat(name, &st) < 0) return fail("stat", name);
  const struct file file = {name, (uint64_t)st.st_size};
  for (int i = 0; i < count; ++i) {
    const operation run_operation = find_operation(names[i]);
    if (run_operation == NULL) {
      errno = EINVAL;
      return fail("try", names[i]);
    }
    printf("%s ", names[i]);
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0) return fail("fork", names[i]);
    if (child == 0) attempt(run_operation, &file);
    await(child);
  }
  return 0;
}
