// Loads and stores of pattern.h's bytes through mappings whose pages may go away under them, and what was found.
#ifndef DAXVMM_TESTS_LINUX_GUEST_VERIFY_H_
#define DAXVMM_TESTS_LINUX_GUEST_VERIFY_H_

#include <stddef.h>
#include <stdint.h>

// Counts of pages, but for what is said otherwise.
struct tally {
  uint64_t good;    // every byte as PatternByte says
  uint64_t zeros;   // some of that, and else zeros: a hole, or what grew again
  uint64_t wrong;   // neither
  uint64_t sigbus;  // could not be touched
  // Of the first wrong byte.
  uint64_t wrong_at;
  uint8_t wrong_byte;
};

// Looks at `length` bytes that were read at `offset` of a file, page by page.
void verify_bytes(struct tally* tally, const uint8_t* bytes, uint64_t offset, size_t length);
// The same through a mapping of the file, which begins at offset 0. Takes SIGBUS for itself, in this thread.
void verify_mapping(struct tally* tally, const uint8_t* mapping, uint64_t offset, uint64_t length);
// Stores the pattern there.
void fill_mapping(struct tally* tally, uint8_t* mapping, uint64_t offset, uint64_t length);
// Prints " good=N zeros=N wrong=N sigbus=N", and the first wrong byte if there is one.
void print_tally(const struct tally* tally);
// Writes the pattern of `offset` and what follows.
void fill_bytes(uint8_t* bytes, uint64_t offset, size_t length);

#endif  // DAXVMM_TESTS_LINUX_GUEST_VERIFY_H_
