// The bytes of a test file, for the guest's tools (C) and the host's tests (C++): a byte follows from its offset alone,
// so that whoever reads one can tell whether it belongs there. Pages differ from each other over 256 MiB, and so do
// chunks.
#ifndef DAXVMM_TESTS_LINUX_GUEST_PATTERN_H_
#define DAXVMM_TESTS_LINUX_GUEST_PATTERN_H_

#include <stdint.h>

#define PATTERN_PAGE 4096

static inline uint8_t PatternByte(uint64_t offset) {
  const uint64_t page = offset / PATTERN_PAGE;
  return (uint8_t)(offset % PATTERN_PAGE + page * 31 + page / 256 * 17);
}

#endif  // DAXVMM_TESTS_LINUX_GUEST_PATTERN_H_
