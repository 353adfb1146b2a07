// What the files of daxtool have in common. A verb prints to standard output and returns the program's exit status.
#ifndef DAXVMM_TESTS_LINUX_GUEST_DAXTOOL_H_
#define DAXVMM_TESTS_LINUX_GUEST_DAXTOOL_H_

#include <stdbool.h>
#include <stdint.h>

#include "tests/linux/guest/verify.h"

// Prints what failed and why, by errno. Returns 1.
int fail(const char* what, const char* name);
// Of the bytes of a file from `offset` on, each times its offset + 1, modulo 2^64: swapped pages show.
uint64_t add_to_sum(uint64_t sum, const volatile uint8_t* bytes, uint64_t offset, uint64_t length);
// "NAME mode=OCTAL size=N dax=0|1" of `path`, relative to `fd`; of `fd` itself where it is empty.
int print_statx(int fd, const char* path, const char* name);

// hold.c. The whole file, shared; NULL after a message.
uint8_t* map_file(const char* name, bool write, int* fd, uint64_t* size);
// Stores `text` at `offset` of a mapping of `size` bytes, and has it reach the file.
int store_text(uint8_t* bytes, uint64_t size, const char* name, uint64_t offset, const char* text);
// Reads until `length` bytes are read or nothing more comes, and says how many came; `error` is 0 or the errno.
uint64_t read_and_verify(int fd, uint64_t offset, uint64_t length, struct tally* tally, int* error);
// Writes pattern.h's bytes, and says how many; `error` as above.
uint64_t write_pattern(int fd, uint64_t offset, uint64_t length, int* error);
int fill_file(const char* name, uint64_t offset, uint64_t length);
int hold(const char* name);

// storm.c: daxtool storm FILE SIZE LIMIT ROLE...
int storm(const char* file, const char* size, const char* limit, int count, char** roles);

// trace.c: daxtool play TRACE
int play(const char* trace);

// attempt.c: daxtool try FILE OPERATION...
int try_operations(const char* file, int count, char** operations);

#endif  // DAXVMM_TESTS_LINUX_GUEST_DAXTOOL_H_
