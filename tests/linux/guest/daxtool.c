// What a shell cannot do in the guest: ask for STATX_ATTR_DAX, load and store through a mapping, hold one, get and set
// inode flags and attributes, be somebody else, and listen to the power button. Static: it runs in an initramfs without
// libraries.
//
//   daxtool statx FILE...              one line each: "FILE mode=OCTAL size=N dax=0|1"
//   daxtool read FILE                  reads all of it: "FILE bytes=N sum=N"
//   daxtool mmap-read FILE OFF LEN     loads through MAP_SHARED: "FILE bytes=N sum=N"
//   daxtool mmap-write FILE OFF TEXT   stores through MAP_SHARED; TEXT stays within the file
//   daxtool hold FILE                  opens and maps FILE, then obeys standard input line by line until its end:
//                                      "sum" prints as mmap-read of all of it, "write OFF TEXT" stores, "statx" as
//                                      above
//   daxtool try FILE OPERATION...      what each comes to, in a process of its own: "OPERATION RESULT"; see attempt.c
//   daxtool getflags FILE...           one line each: "FILE flags=0xN xflags=0xN", by FS_IOC_GETFLAGS and FSGETXATTR
//   daxtool setflags FILE SET CLEAR    sets and clears FS_*_FL by FS_IOC_SETFLAGS
//   daxtool setxflags FILE SET CLEAR   sets and clears FS_XFLAG_* by FS_IOC_FSSETXATTR
//   daxtool setxattr FILE NAME HEX     sets an extended attribute; HEX is its bytes
//   daxtool getxattr FILE NAME         prints them: "FILE NAME=HEX"
//   daxtool listxattr FILE             one name per line
//   daxtool tmpfile DIR TEXT FILE      O_TMPFILE in DIR, writes TEXT, linkat to FILE
//   daxtool as UID GID COMMAND...      runs COMMAND with these ids and no supplementary group
//   daxtool power-button               powers the machine off when the button is pressed
//   daxtool say TEXT                   prints it
//
// The sum is that of the bytes, each times its offset + 1, modulo 2^64: swapped pages show.
#define _GNU_SOURCE
#include "tests/linux/guest/daxtool.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/input.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_BUTTONS 16

int fail(const char* what, const char* name) {
  printf("daxtool: %s %s: %s\n", what, name, strerror(errno));
  return 1;
}

uint64_t add_to_sum(uint64_t sum, const volatile uint8_t* bytes, uint64_t offset, uint64_t length) {
  for (uint64_t i = 0; i < length; ++i) sum += bytes[i] * (offset + i + 1);
  return sum;
}

int print_statx(int fd, const char* path, const char* name) {
  struct statx st;
  if (statx(fd, path, *path ? 0 : AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0) return fail("statx", name);
  printf("%s mode=%o size=%" PRIu64 " dax=%d\n", name, st.stx_mode & 07777, (uint64_t)st.stx_size,
         (st.stx_attributes & STATX_ATTR_DAX) != 0);
  return 0;
}

static int read_all(const char* name) {
  static uint8_t buffer[1 << 16];
  int fd = open(name, O_RDONLY);
  if (fd < 0) return fail("open", name);
  uint64_t sum = 0;
  uint64_t offset = 0;
  ssize_t got;
  while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
    sum = add_to_sum(sum, buffer, offset, (uint64_t)got);
    offset += (uint64_t)got;
  }
  if (got < 0) return fail("read", name);
  close(fd);
  printf("%s bytes=%" PRIu64 " sum=%" PRIu64 "\n", name, offset, sum);
  return 0;
}

static int mmap_read(const char* name, uint64_t offset, uint64_t length) {
  int fd;
  uint64_t size;
  const uint8_t* bytes = map_file(name, false, &fd, &size);
  if (bytes == NULL) return 1;
  if (offset > size || length > size - offset) {
    errno = ERANGE;
    return fail("mmap-read", name);
  }
  printf("%s bytes=%" PRIu64 " sum=%" PRIu64 "\n", name, length, add_to_sum(0, bytes + offset, offset, length));
  return 0;
}

static int get_flags(const char* name) {
  int fd = open(name, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return fail("open", name);
  int flags = 0;
  struct fsxattr attributes;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) return fail("FS_IOC_GETFLAGS", name);
  if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0) return fail("FS_IOC_FSGETXATTR", name);
  close(fd);
  printf("%s flags=0x%x xflags=0x%x\n", name, (unsigned)flags, attributes.fsx_xflags);
  return 0;
}

static int set_flags(const char* name, unsigned set, unsigned clear) {
  int fd = open(name, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return fail("open", name);
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) return fail("FS_IOC_GETFLAGS", name);
  flags = (int)(((unsigned)flags & ~clear) | set);
  return ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? fail("FS_IOC_SETFLAGS", name) : 0;
}

static int set_xflags(const char* name, unsigned set, unsigned clear) {
  int fd = open(name, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return fail("open", name);
  struct fsxattr attributes;
  if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0) return fail("FS_IOC_FSGETXATTR", name);
  attributes.fsx_xflags = (attributes.fsx_xflags & ~clear) | set;
  return ioctl(fd, FS_IOC_FSSETXATTR, &attributes) < 0 ? fail("FS_IOC_FSSETXATTR", name) : 0;
}

static int set_xattr(const char* file, const char* name, const char* hex) {
  uint8_t value[2048];
  size_t length = 0;
  unsigned byte;
  for (; length < sizeof(value) && sscanf(hex, "%2x", &byte) == 1; hex += 2) value[length++] = (uint8_t)byte;
  return setxattr(file, name, value, length, 0) < 0 ? fail("setxattr", file) : 0;
}

static int get_xattr(const char* file, const char* name) {
  uint8_t value[2048];
  ssize_t length = getxattr(file, name, value, sizeof(value));
  if (length < 0) return fail("getxattr", file);
  printf("%s %s=", file, name);
  for (ssize_t i = 0; i < length; ++i) printf("%02x", value[i]);
  printf("\n");
  return 0;
}

static int list_xattr(const char* file) {
  char names[4096];
  ssize_t length = listxattr(file, names, sizeof(names));
  if (length < 0) return fail("listxattr", file);
  for (char* name = names; name < names + length; name += strlen(name) + 1) printf("%s\n", name);
  return 0;
}

static int tmpfile_link(const char* directory, const char* text, const char* name) {
  int fd = open(directory, O_TMPFILE | O_RDWR, 0644);
  if (fd < 0) return fail("O_TMPFILE", directory);
  if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) return fail("write", directory);
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW) < 0 ? fail("linkat", name) : 0;
}

static int run_as(uid_t uid, gid_t gid, char** command) {
  if (setgroups(0, NULL) < 0 || setgid(gid) < 0 || setuid(uid) < 0) return fail("cannot be", command[0]);
  execvp(command[0], command);
  return fail("exec", command[0]);
}

static int power_button(void) {
  struct pollfd buttons[MAX_BUTTONS];
  nfds_t count = 0;
  for (int i = 0; i < MAX_BUTTONS; ++i) {
    char path[32];
    snprintf(path, sizeof(path), "/dev/input/event%d", i);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    if (fd >= 0) buttons[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
  }
  if (count == 0) {
    errno = ENODEV;
    return fail("no event device in", "/dev/input");
  }
  while (poll(buttons, count, -1) >= 0 || errno == EINTR) {
    for (nfds_t i = 0; i < count; ++i) {
      struct input_event event;
      while (read(buttons[i].fd, &event, sizeof(event)) == (ssize_t)sizeof(event)) {
        if (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1) {
          sync();
          reboot(RB_POWER_OFF);
        }
      }
    }
  }
  return fail("poll", "/dev/input");
}

int main(int argc, char** argv) {
  const char* verb = argc > 1 ? argv[1] : "";
  if (strcmp(verb, "statx") == 0 && argc > 2) {
    int status = 0;
    for (int i = 2; i < argc; ++i) status |= print_statx(AT_FDCWD, argv[i], argv[i]);
    return status;
  }
  if (strcmp(verb, "read") == 0 && argc == 3) return read_all(argv[2]);
  if (strcmp(verb, "mmap-read") == 0 && argc == 5) {
    return mmap_read(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
  }
  if (strcmp(verb, "mmap-write") == 0 && argc == 5) {
    int fd;
    uint64_t size;
    uint8_t* bytes = map_file(argv[2], true, &fd, &size);
    return bytes == NULL ? 1 : store_text(bytes, size, argv[2], strtoull(argv[3], NULL, 0), argv[4]);
  }
  if (strcmp(verb, "hold") == 0 && argc == 3) return hold(argv[2]);
  if (strcmp(verb, "storm") == 0 && argc > 5) return storm(argv[2], argv[3], argv[4], argc - 5, argv + 5);
  if (strcmp(verb, "play") == 0 && argc == 3) return play(argv[2]);
  if (strcmp(verb, "fill") == 0 && argc == 5) {
    return fill_file(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
  }
  if (strcmp(verb, "try") == 0 && argc > 3) return try_operations(argv[2], argc - 3, argv + 3);
  if (strcmp(verb, "getflags") == 0 && argc > 2) {
    int status = 0;
    for (int i = 2; i < argc; ++i) status |= get_flags(argv[i]);
    return status;
  }
  if ((strcmp(verb, "setflags") == 0 || strcmp(verb, "setxflags") == 0) && argc == 5) {
    unsigned set = (unsigned)strtoul(argv[3], NULL, 0);
    unsigned clear = (unsigned)strtoul(argv[4], NULL, 0);
    return verb[3] == 'f' ? set_flags(argv[2], set, clear) : set_xflags(argv[2], set, clear);
  }
  if (strcmp(verb, "setxattr") == 0 && argc == 5) return set_xattr(argv[2], argv[3], argv[4]);
  if (strcmp(verb, "getxattr") == 0 && argc == 4) return get_xattr(argv[2], argv[3]);
  if (strcmp(verb, "listxattr") == 0 && argc == 3) return list_xattr(argv[2]);
  if (strcmp(verb, "tmpfile") == 0 && argc == 5) return tmpfile_link(argv[2], argv[3], argv[4]);
  if (strcmp(verb, "as") == 0 && argc > 4) {
    return run_as((uid_t)strtoul(argv[2], NULL, 0), (gid_t)strtoul(argv[3], NULL, 0), argv + 4);
  }
  if (strcmp(verb, "power-button") == 0 && argc == 2) return power_button();
  if (strcmp(verb, "say") == 0 && argc == 3) return puts(argv[2]) < 0;
  printf("usage: daxtool VERB ... (see daxtool.c)\n");
  return 2;
}
