// daxtool play TRACE: does what a text file says, line by line, so that accesses that were made up or recorded
// elsewhere can be made in a guest. Words are separated by blanks; "#" begins a comment. HANDLE is any name.
//
//   open HANDLE PATH r|rw|create   relative to the working directory; "create" makes the file if it is not there
//   close HANDLE                   its mapping too
//   read HANDLE OFF LEN            read(2)
//   write HANDLE OFF LEN           write(2) of the pattern of pattern.h
//   append HANDLE LEN              the same at the end that fstat says
//   truncate HANDLE SIZE
//   sync HANDLE                    fsync(2)
//   map HANDLE                     shared, as large as the file is then; writable if it was opened so
//   unmap HANDLE
//   touch HANDLE OFF LEN           loads through the mapping
//   store HANDLE OFF LEN           stores the pattern through the mapping
//   verify on|off                  whether what is read must be the pattern, or zeros; it begins with on
//   pause MILLISECONDS
//
// Prints the first few lines that failed, "TRACE:LINE: VERB HANDLE: ERROR", and at the end "TRACE played=N failed=N
// bytes=N good=N zeros=N wrong=N sigbus=N". Exit status 0 only if nothing failed, was wrong or was SIGBUS.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/linux/guest/daxtool.h"

#define MAX_HANDLES 256
#define MAX_NAME 64
#define MOST_MESSAGES 20

struct handle {
  char name[MAX_NAME];  // empty if it is free
  int fd;
  bool writable;
  uint8_t* bytes;  // NULL if nothing is mapped
  uint64_t size;   // of the mapping
};

struct player {
  struct handle handles[MAX_HANDLES];
  struct tally tally;
  bool verify;
  uint64_t bytes;
};

static struct handle* find(struct player* player, const char* name) {
  for (int i = 0; i < MAX_HANDLES; ++i) {
    if (strcmp(player->handles[i].name, name) == 0) return &player->handles[i];
  }
  return NULL;
}

// Each returns 0 or an errno.

static int do_open(struct player* player, const char* name, const char* path, const char* mode) {
  if (*name == 0 || find(player, name) != NULL) return EEXIST;
  struct handle* free_handle = find(player, "");
  if (free_handle == NULL) return EMFILE;
  const bool create = strcmp(mode, "create") == 0;
  const bool writable = create || strcmp(mode, "rw") == 0;
  if (!writable && strcmp(mode, "r") != 0) return EINVAL;
  const int fd = open(path, (writable ? O_RDWR : O_RDONLY) | (create ? O_CREAT : 0), 0644);
  if (fd < 0) return errno;
  *free_handle = (struct handle){.fd = fd, .writable = writable};
  strcpy(free_handle->name, name);
  return 0;
}

static int do_unmap(struct handle* handle) {
  if (handle->bytes == NULL) return EINVAL;
  munmap(handle->bytes, handle->size);
  handle->bytes = NULL;
  return 0;
}

static int do_map(struct handle* handle) {
  struct stat st;
  if (handle->bytes != NULL) return EEXIST;
  if (fstat(handle->fd, &st) < 0) return errno;
  handle->size = (uint64_t)st.st_size;
  void* bytes =
      mmap(NULL, handle->size, handle->writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, handle->fd, 0);
  if (bytes == MAP_FAILED) return errno;
  handle->bytes = bytes;
  return 0;
}

static int do_close(struct handle* handle) {
  if (handle->bytes != NULL) do_unmap(handle);
  close(handle->fd);
  handle->name[0] = 0;
  return 0;
}

static int do_append(struct player* player, struct handle* handle, uint64_t length) {
  struct stat st;
  int error;
  if (fstat(handle->fd, &st) < 0) return errno;
  player->bytes += write_pattern(handle->fd, (uint64_t)st.st_size, length, &error);
  return error;
}

// read, write, touch and store.
static int do_range(struct player* player, struct handle* handle, const char* verb, uint64_t offset, uint64_t length) {
  struct tally seen = {0};
  const bool touch = strcmp(verb, "touch") == 0;
  const bool store = strcmp(verb, "store") == 0;
  int error = 0;
  if (touch || store) {
    if (handle->bytes == NULL) return EFAULT;
    if (offset > handle->size || length > handle->size - offset) return ERANGE;
    if (touch) verify_mapping(&seen, handle->bytes, offset, length);
    if (store) fill_mapping(&seen, handle->bytes, offset, length);
    player->bytes += length;
  } else if (strcmp(verb, "read") == 0) {
    player->bytes += read_and_verify(handle->fd, offset, length, &seen, &error);
  } else if (strcmp(verb, "write") == 0) {
    player->bytes += write_pattern(handle->fd, offset, length, &error);
  } else {
    return ENOSYS;
  }
  player->tally.sigbus += seen.sigbus;
  if (player->verify) {
    if (player->tally.wrong == 0) {
      player->tally.wrong_at = seen.wrong_at;
      player->tally.wrong_byte = seen.wrong_byte;
    }
    player->tally.good += seen.good;
    player->tally.zeros += seen.zeros;
    player->tally.wrong += seen.wrong;
  }
  return error;
}

static int play_line(struct player* player, const char* verb, const char* name, const char* first, const char* second) {
  if (strcmp(verb, "pause") == 0) return usleep((useconds_t)strtoul(name, NULL, 0) * 1000) < 0 ? errno : 0;
  if (strcmp(verb, "verify") == 0) {
    player->verify = strcmp(name, "on") == 0;
    return player->verify || strcmp(name, "off") == 0 ? 0 : EINVAL;
  }
  if (strcmp(verb, "open") == 0) return do_open(player, name, first, second);
  struct handle* handle = *name == 0 ? NULL : find(player, name);
  if (handle == NULL) return EBADF;
  if (strcmp(verb, "close") == 0) return do_close(handle);
  if (strcmp(verb, "map") == 0) return do_map(handle);
  if (strcmp(verb, "unmap") == 0) return do_unmap(handle);
  if (strcmp(verb, "sync") == 0) return fsync(handle->fd) < 0 ? errno : 0;
  if (*first == 0) return EINVAL;
  const uint64_t number = strtoull(first, NULL, 0);
  if (strcmp(verb, "truncate") == 0) return ftruncate(handle->fd, (off_t)number) < 0 ? errno : 0;
  if (strcmp(verb, "append") == 0) return do_append(player, handle, number);
  if (*second == 0) return EINVAL;
  return do_range(player, handle, verb, number, strtoull(second, NULL, 0));
}

int play(const char* trace) {
  static struct player player;
  player.verify = true;
  FILE* file = fopen(trace, "r");
  if (file == NULL) return fail("open", trace);
  char line[1024];
  uint64_t number = 0, played = 0, failed = 0;
  while (fgets(line, sizeof(line), file) != NULL) {
    ++number;
    line[strcspn(line, "#\n")] = 0;
    char verb[16], name[MAX_NAME] = "", first[512] = "", second[32] = "";
    if (sscanf(line, "%15s %63s %511s %31s", verb, name, first, second) < 1) continue;
    ++played;
    const int error = play_line(&player, verb, name, first, second);
    if (error != 0 && ++failed <= MOST_MESSAGES) {
      printf("%s:%" PRIu64 ": %s %s: %s\n", trace, number, verb, name, strerrorname_np(error));
    }
  }
  fclose(file);
  printf("%s played=%" PRIu64 " failed=%" PRIu64 " bytes=%" PRIu64, trace, played, failed, player.bytes);
  print_tally(&player.tally);
  printf("\n");
  return failed != 0 || player.tally.wrong != 0 || player.tally.sigbus != 0;
}
