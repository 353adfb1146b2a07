// What the files of daxtool have in common. A verb prints to standard output and returns the program's exit status.
#ifndef DAXVMM_TESTS_LINUX_GUEST_DAXTOOL_H_
#define DAXVMM_TESTS_LINUX_GUEST_DAXTOOL_H_

#include <stdbool.h>
#include <stdint.h>

// Prints what failed and why, by errno. Returns 1.
int fail(const char* what, const char* name);
// Of the bytes of a file from `offset` on, each times its offset + 1, modulo 2^64: swapped pages show.
uint64_t add_to_sum(uint64_t sum, const volatile uint8_t* bytes, uint64_t offset, uint64_t length);

// attempt.c: daxtool try FILE OPERATION...
int try_operations(const char* file, int count, char** operations);

#endif  // DAXVMM_TESTS_LINUX_GUEST_DAXTOOL_H_
