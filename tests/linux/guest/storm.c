// daxtool storm FILE SIZE LIMIT ROLE...: a process for each role uses FILE, which stays within SIZE bytes, at the same
// time as the others and whoever changes it on the host. LIMIT is "Ns" seconds, or "Nr" rounds of each role.
//
//   load           loads some pages through a shared mapping of SIZE bytes, whatever the file's size is
//   read           read(2) somewhere in the file
//   store          stores through a shared mapping, within the size that fstat says
//   write          write(2) in place, within that size
//   append         write(2) at that size
//   append-zeros   write(2) of zeros with O_APPEND: at the end, whatever that is by then
//   truncate       truncates FILE to some size below SIZE, larger or smaller
//   rotate         copies FILE to FILE.1 and truncates it to nothing, as logrotate's copytruncate
//
// What is written is the pattern of pattern.h, so that what is read must be that or zeros, whoever truncated the file
// in between. SIGBUS, short reads and errors are counted only; a wrong byte is a failure. Prints a line for each role:
// "ROLE rounds=N bytes=N good=N zeros=N wrong=N sigbus=N short=N errors=N", and " error=NAME" of the last error.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/linux/guest/daxtool.h"
#include "tests/linux/guest/pattern.h"

#define MAX_ROLES 16
#define MOST_BYTES (64 * 1024)   // of a round
#define PAUSE_MICROSECONDS 2000  // between two truncations, or nothing would be left to read

struct worker {
  const char* file;
  int fd;
  uint8_t* bytes;  // mapping of `size` bytes
  uint64_t size;
  uint64_t random;
  // Results, in memory that the parent sees.
  struct tally tally;
  uint64_t rounds;
  uint64_t done;  // bytes
  uint64_t short_reads;
  uint64_t errors;
  int error;  // the last
};

static uint64_t below(struct worker* worker, uint64_t limit) {
  worker->random ^= worker->random << 13;
  worker->random ^= worker->random >> 7;
  worker->random ^= worker->random << 17;
  return limit == 0 ? 0 : worker->random % limit;
}

static void count_error(struct worker* worker, int error) {
  ++worker->errors;
  worker->error = error;
}

static uint64_t size_now(struct worker* worker) {
  struct stat st;
  if (fstat(worker->fd, &st) < 0) {
    count_error(worker, errno);
    return 0;
  }
  const uint64_t size = (uint64_t)st.st_size;
  return size < worker->size ? size : worker->size;
}

// Some part of what lies below `limit`; false if that is nothing.
static bool pick(struct worker* worker, uint64_t limit, uint64_t* offset, uint64_t* length) {
  if (limit == 0) return false;
  *offset = below(worker, limit);
  *length = 1 + below(worker, MOST_BYTES);
  if (*length > limit - *offset) *length = limit - *offset;
  return true;
}

static void load_round(struct worker* worker) {
  uint64_t offset, length;
  if (!pick(worker, worker->size, &offset, &length)) return;
  verify_mapping(&worker->tally, worker->bytes, offset, length);
  worker->done += length;
}

static void read_round(struct worker* worker) {
  uint64_t offset, length;
  if (!pick(worker, worker->size, &offset, &length)) return;
  int error;
  const uint64_t got = read_and_verify(worker->fd, offset, length, &worker->tally, &error);
  worker->done += got;
  if (error != 0) {
    count_error(worker, error);
  } else if (got < length) {
    ++worker->short_reads;
  }
}

static void store_round(struct worker* worker) {
  uint64_t offset, length;
  if (!pick(worker, size_now(worker), &offset, &length)) return;
  fill_mapping(&worker->tally, worker->bytes, offset, length);
  worker->done += length;
}

static void write_at(struct worker* worker, uint64_t offset, uint64_t length) {
  int error;
  worker->done += write_pattern(worker->fd, offset, length, &error);
  if (error != 0) count_error(worker, error);
}

static void write_round(struct worker* worker) {
  uint64_t offset, length;
  if (pick(worker, size_now(worker), &offset, &length)) write_at(worker, offset, length);
}

static void append_round(struct worker* worker) {
  const uint64_t end = size_now(worker);
  const uint64_t length = 1 + below(worker, MOST_BYTES);
  if (length <= worker->size - end) write_at(worker, end, length);
}

static void append_zeros_round(struct worker* worker) {
  static const uint8_t zeros[MOST_BYTES];
  const uint64_t length = 1 + below(worker, MOST_BYTES);
  if (length > worker->size - size_now(worker)) return;
  const ssize_t wrote = write(worker->fd, zeros, length);
  if (wrote < 0) {
    count_error(worker, errno);
  } else {
    worker->done += (uint64_t)wrote;
  }
}

static void truncate_round(struct worker* worker) {
  if (ftruncate(worker->fd, (off_t)below(worker, worker->size)) < 0) count_error(worker, errno);
  usleep(PAUSE_MICROSECONDS);
}

static void rotate_round(struct worker* worker) {
  static uint8_t buffer[MOST_BYTES];
  char name[512];
  snprintf(name, sizeof(name), "%s.1", worker->file);
  int to = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (to < 0) return count_error(worker, errno);
  ssize_t got;
  uint64_t offset = 0;
  while ((got = pread(worker->fd, buffer, sizeof(buffer), (off_t)offset)) > 0) {
    verify_bytes(&worker->tally, buffer, offset, (size_t)got);
    if (write(to, buffer, (size_t)got) != got) count_error(worker, errno);
    offset += (uint64_t)got;
  }
  if (got < 0) count_error(worker, errno);
  worker->done += offset;
  close(to);
  if (ftruncate(worker->fd, 0) < 0) count_error(worker, errno);
  usleep(PAUSE_MICROSECONDS);
}

static const struct role {
  const char* name;
  void (*round)(struct worker* worker);
  int flags;  // for open
} roles[] = {
    {"load", load_round, O_RDWR},         {"read", read_round, O_RDONLY},
    {"store", store_round, O_RDWR},       {"write", write_round, O_RDWR},
    {"append", append_round, O_RDWR},     {"append-zeros", append_zeros_round, O_WRONLY | O_APPEND},
    {"truncate", truncate_round, O_RDWR}, {"rotate", rotate_round, O_RDWR},
};

static const struct role* find_role(const char* name) {
  for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); ++i) {
    if (strcmp(roles[i].name, name) == 0) return &roles[i];
  }
  return NULL;
}

static uint64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// In the child. One of the two limits is 0.
static int work(struct worker* worker, const struct role* role, uint64_t seconds, uint64_t rounds) {
  worker->fd = open(worker->file, role->flags);
  if (worker->fd < 0) return fail("open", worker->file);
  if (role->round == load_round || role->round == store_round) {
    worker->bytes = mmap(NULL, worker->size, PROT_READ | PROT_WRITE, MAP_SHARED, worker->fd, 0);
    if (worker->bytes == MAP_FAILED) return fail("mmap", worker->file);
  }
  const uint64_t until = milliseconds() + seconds * 1000;
  while (rounds != 0 ? worker->rounds < rounds : milliseconds() < until) {
    role->round(worker);
    ++worker->rounds;
  }
  return 0;
}

static void print_worker(const char* name, const struct worker* worker) {
  printf("%s rounds=%" PRIu64 " bytes=%" PRIu64, name, worker->rounds, worker->done);
  print_tally(&worker->tally);
  printf(" short=%" PRIu64 " errors=%" PRIu64, worker->short_reads, worker->errors);
  if (worker->error != 0) printf(" error=%s", strerrorname_np(worker->error));
  printf("\n");
}

int storm(const char* file, const char* size, const char* limit, int count, char** names) {
  char* unit;
  const uint64_t number = strtoull(limit, &unit, 10);
  const bool seconds = strcmp(unit, "s") == 0;
  const uint64_t bytes = strtoull(size, NULL, 0);
  struct worker* workers =
      mmap(NULL, sizeof(struct worker) * MAX_ROLES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (workers == MAP_FAILED) return fail("mmap", "results");
  errno = EINVAL;
  if (number == 0 || bytes == 0 || count > MAX_ROLES || (!seconds && strcmp(unit, "r") != 0)) {
    return fail("storm", limit);
  }
  pid_t children[MAX_ROLES];
  for (int i = 0; i < count; ++i) {
    if (find_role(names[i]) == NULL) return fail("storm", names[i]);
  }
  for (int i = 0; i < count; ++i) {
    workers[i].file = file;
    workers[i].size = bytes;
    workers[i].random = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
    fflush(stdout);
    children[i] = fork();
    if (children[i] < 0) return fail("fork", names[i]);
    if (children[i] == 0) exit(work(&workers[i], find_role(names[i]), seconds ? number : 0, seconds ? 0 : number));
  }
  int result = 0;
  for (int i = 0; i < count; ++i) {
    int status;
    waitpid(children[i], &status, 0);
    if (WIFSIGNALED(status)) printf("%s ended by SIG%s\n", names[i], sigabbrev_np(WTERMSIG(status)));
    if (status != 0 || workers[i].tally.wrong != 0) result = 1;
    print_worker(names[i], &workers[i]);
  }
  return result;
}
