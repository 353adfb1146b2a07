#define _GNU_SOURCE
#include "tests/linux/guest/verify.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/linux/guest/pattern.h"

static sigjmp_buf after_fault;

static void leave(int number) { siglongjmp(after_fault, number); }

static void catch_sigbus(void) {
  // Not masked while it is handled: the jump out of the handler need not bring a mask back, which is a system call.
  struct sigaction action = {.sa_handler = leave, .sa_flags = SA_NODEFER};
  sigaction(SIGBUS, &action, NULL);
}

void fill_bytes(uint8_t* bytes, uint64_t offset, size_t length) {
  for (size_t i = 0; i < length; ++i) bytes[i] = PatternByte(offset + i);
}

// Within one page.
static void verify_page(struct tally* tally, const uint8_t* bytes, uint64_t offset, size_t length) {
  size_t zeros = 0;
  for (size_t i = 0; i < length; ++i) {
    if (bytes[i] == PatternByte(offset + i)) continue;
    if (bytes[i] != 0) {
      if (tally->wrong++ == 0) {
        tally->wrong_at = offset + i;
        tally->wrong_byte = bytes[i];
      }
      return;
    }
    ++zeros;
  }
  if (zeros == 0) {
    ++tally->good;
  } else {
    ++tally->zeros;
  }
}

// From `offset` to the end of its page, at most `length`.
static size_t within_page(uint64_t offset, uint64_t length) {
  const uint64_t left = PATTERN_PAGE - offset % PATTERN_PAGE;
  return (size_t)(length < left ? length : left);
}

void verify_bytes(struct tally* tally, const uint8_t* bytes, uint64_t offset, size_t length) {
  for (size_t done = 0; done < length;) {
    const size_t step = within_page(offset + done, length - done);
    verify_page(tally, bytes + done, offset + done, step);
    done += step;
  }
}

void verify_mapping(struct tally* tally, const uint8_t* mapping, uint64_t offset, uint64_t length) {
  uint8_t copy[PATTERN_PAGE];
  catch_sigbus();
  for (volatile uint64_t done = 0; done < length;) {
    const size_t step = within_page(offset + done, length - done);
    if (sigsetjmp(after_fault, 0) == 0) {
      memcpy(copy, mapping + offset + done, step);
      verify_page(tally, copy, offset + done, step);
    } else {
      ++tally->sigbus;
    }
    done += within_page(offset + done, length - done);
  }
}

void fill_mapping(struct tally* tally, uint8_t* mapping, uint64_t offset, uint64_t length) {
  uint8_t bytes[PATTERN_PAGE];
  catch_sigbus();
  for (volatile uint64_t done = 0; done < length;) {
    const size_t step = within_page(offset + done, length - done);
    fill_bytes(bytes, offset + done, step);
    if (sigsetjmp(after_fault, 0) == 0) {
      memcpy(mapping + offset + done, bytes, step);
      ++tally->good;
    } else {
      ++tally->sigbus;
    }
    done += within_page(offset + done, length - done);
  }
}

void print_tally(const struct tally* tally) {
  printf(" good=%" PRIu64 " zeros=%" PRIu64 " wrong=%" PRIu64 " sigbus=%" PRIu64, tally->good, tally->zeros,
         tally->wrong, tally->sigbus);
  if (tally->wrong != 0) {
    printf(" first-wrong=%" PRIu64 ":0x%02x-for-0x%02x", tally->wrong_at, tally->wrong_byte,
           PatternByte(tally->wrong_at));
  }
}
