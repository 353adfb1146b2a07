// daxtool hold FILE: opens and maps FILE, says "FILE held", then obeys standard input line by line until its end. Each
// command is answered by one line. What is opened and mapped stays so in between, whatever the policy becomes.
//
//   statx            as daxtool statx, of the open file
//   sum              as daxtool mmap-read, of the whole file
//   write OFF TEXT   stores TEXT: "FILE written"
//   check OFF LEN    loads through the mapping:   "FILE check OFF LEN good=N zeros=N wrong=N sigbus=N", see verify.h
//   fill OFF LEN     stores the pattern:          "FILE fill OFF LEN good=N ..."
//   pread OFF LEN    reads by read(2):            "FILE pread OFF LEN good=N ... bytes=N", and " error=NAME" if one
//   ended it pwrite OFF LEN   writes the pattern by write(2): "FILE pwrite OFF LEN bytes=N", and " error=NAME"
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
#include "tests/linux/guest/verify.h"

struct held {
  const char* name;
  int fd;
  uint8_t* bytes;
  uint64_t size;
};

// The whole file, shared; writable unless it can only be read. NULL after a message.
uint8_t* map_file(const char* name, bool write, int* fd, uint64_t* size) {
  *fd = open(name, write ? O_RDWR : O_RDONLY);
  struct stat st;
  if (*fd < 0 || fstat(*fd, &st) < 0) {
    fail("open", name);
    return NULL;
  }
  *size = (uint64_t)st.st_size;
  void* bytes = mmap(NULL, *size, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, *fd, 0);
  if (bytes == MAP_FAILED) {
    fail("mmap", name);
    return NULL;
  }
  return bytes;
}

int store_text(uint8_t* bytes, uint64_t size, const char* name, uint64_t offset, const char* text) {
  uint64_t length = strlen(text);
  if (offset > size || length > size - offset) {
    errno = ERANGE;
    return fail("mmap-write", name);
  }
  memcpy(bytes + offset, text, length);
  return msync(bytes, size, MS_SYNC) < 0 ? fail("msync", name) : 0;
}

// All of it, or until an error, which `error` becomes, or the file's end.
uint64_t read_and_verify(int fd, uint64_t offset, uint64_t length, struct tally* tally, int* error) {
  static uint8_t buffer[1 << 16];
  uint64_t done = 0;
  *error = 0;
  while (done < length) {
    const uint64_t step = length - done < sizeof(buffer) ? length - done : sizeof(buffer);
    const ssize_t got = pread(fd, buffer, step, (off_t)(offset + done));
    if (got < 0) *error = errno;
    if (got <= 0) break;
    verify_bytes(tally, buffer, offset + done, (size_t)got);
    done += (uint64_t)got;
  }
  return done;
}

uint64_t write_pattern(int fd, uint64_t offset, uint64_t length, int* error) {
  static uint8_t buffer[1 << 16];
  uint64_t done = 0;
  *error = 0;
  while (done < length) {
    const uint64_t step = length - done < sizeof(buffer) ? length - done : sizeof(buffer);
    fill_bytes(buffer, offset + done, step);
    const ssize_t wrote = pwrite(fd, buffer, step, (off_t)(offset + done));
    if (wrote < 0) *error = errno;
    if (wrote <= 0) break;
    done += (uint64_t)wrote;
  }
  return done;
}

int fill_file(const char* name, uint64_t offset, uint64_t length) {
  int fd = open(name, O_CREAT | O_WRONLY, 0644);
  if (fd < 0) return fail("open", name);
  int error;
  if (write_pattern(fd, offset, length, &error) == length) return 0;
  errno = error;
  return fail("write", name);
}

static void print_end(uint64_t bytes, int error) {
  printf(" bytes=%" PRIu64, bytes);
  if (error != 0) printf(" error=%s", strerrorname_np(error));
}

// check, fill, pread and pwrite. False if it is none of them.
static bool obey_range(const struct held* held, const char* line) {
  char verb[16];
  uint64_t offset;
  uint64_t length;
  if (sscanf(line, "%15s %" SCNu64 " %" SCNu64, verb, &offset, &length) != 3) return false;
  const bool by_mapping = strcmp(verb, "check") == 0 || strcmp(verb, "fill") == 0;
  if (by_mapping && (offset > held->size || length > held->size - offset)) {
    errno = ERANGE;
    return fail(verb, held->name);
  }
  struct tally tally = {0};
  int error = 0;
  uint64_t bytes = length;
  if (strcmp(verb, "check") == 0) {
    verify_mapping(&tally, held->bytes, offset, length);
  } else if (strcmp(verb, "fill") == 0) {
    fill_mapping(&tally, held->bytes, offset, length);
  } else if (strcmp(verb, "pread") == 0) {
    bytes = read_and_verify(held->fd, offset, length, &tally, &error);
  } else if (strcmp(verb, "pwrite") == 0) {
    bytes = write_pattern(held->fd, offset, length, &error);
  } else {
    return false;
  }
  printf("%s %s %" PRIu64 " %" PRIu64, held->name, verb, offset, length);
  if (strcmp(verb, "pwrite") != 0) print_tally(&tally);
  if (!by_mapping) print_end(bytes, error);
  printf("\n");
  return true;
}

static void obey(const struct held* held, const char* line) {
  if (strcmp(line, "sum") == 0) {
    printf("%s bytes=%" PRIu64 " sum=%" PRIu64 "\n", held->name, held->size, add_to_sum(0, held->bytes, 0, held->size));
  } else if (strcmp(line, "statx") == 0) {
    print_statx(held->fd, "", held->name);
  } else if (strncmp(line, "write ", 6) == 0) {
    char* rest;
    const uint64_t offset = strtoull(line + 6, &rest, 0);
    if (store_text(held->bytes, held->size, held->name, offset, *rest ? rest + 1 : rest) == 0) {
      printf("%s written\n", held->name);
    }
  } else if (!obey_range(held, line)) {
    printf("daxtool: hold: what is '%s'?\n", line);
  }
}

int hold(const char* name) {
  struct held held = {.name = name};
  held.bytes = map_file(name, true, &held.fd, &held.size);
  if (held.bytes == NULL) return 1;
  printf("%s held\n", name);
  fflush(stdout);
  char line[1024];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    obey(&held, line);
    fflush(stdout);
  }
  return 0;
}
