// The bytes of a test file, for the guest's tools (C) and the host's tests (C++): a byte follows from its offset alone,
// so that whoever reads one can tell whether it belongs there.
#ifndef DAXVMM_TESTS_LINUX_GUEST_PATTERN_H_
#define DAXVMM_TESTS_LINUX_GUEST_PATTERN_H_

#include <stdint.h>

#define PATTERN_PAGE 4096

// Mixed, not counted: of a regular pattern, two chunks that changed places can have the sum of daxtool.c that they had.
static inline uint8_t PatternByte(uint64_t offset) {
  uint64_t word = (offset / 8 + 1) * 0x9e3779b97f4a7c15u;
  word = (word ^ (word >> 29)) * 0xbf58476d1ce4e5b9u;
  return (uint8_t)(word >> (8 * (offset % 8)));
}

#endif  // DAXVMM_TESTS_LINUX_GUEST_PATTERN_H_
