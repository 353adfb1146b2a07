/* What the test on the host and the payload in the guest agree on. C, since the payload is. */
#ifndef DAXVMM_TESTS_MICROGUEST_MAILBOX_H_
#define DAXVMM_TESTS_MICROGUEST_MAILBOX_H_

#include <stdint.h>

enum MailboxOperation {
  /* result = the `width` bytes at `address` */
  kMailboxLoad = 1,
  /* the low `width` bytes of `value` go to `address` */
  kMailboxStore = 2,
  /* result = the sum of the 64-bit words at address, address + stride, ... below address + length; value = stride */
  kMailboxSum = 3,
  /* Loads the 64-bit word at each `value` bytes of [address, address + length), again and again, until the word at
     `flag` is not 0. result = passes over the range; mismatches = words that were none of the two patterns;
     seen[i] = words that were patterns[i]. */
  kMailboxWatch = 4,
  /* Stores the 64-bit `value` to `address` by the instruction that `width` (MailboxStore) names. */
  kMailboxStoreBy = 5,
  /* Stores the low byte of a count from 1 to `value` to `address`, each followed by a load of it, and gives way to
     nothing until done. result = loads that gave another byte. */
  kMailboxCount = 6,
  /* Runs the bytes at `address` as code that returns. */
  kMailboxCall = 7,
};

/* Instructions that store 8 bytes in as many ways as a kernel's and a program's copies do. */
enum MailboxStore {
  kStoreMov,
  kStoreStosb,  /* rep stosb */
  kStoreMovsq,  /* rep movsq, from the mailbox */
  kStoreMovups, /* 16 bytes: the value twice */
  kStoreMovnti,
  kStoreXchg,
  kStoreCmpxchg,
  kStorePush,
  kStoreOr, /* a read-modify-write of what is there */
  kMailboxStores,
};

struct Mailbox {
  volatile uint32_t request; /* the host adds one to ask */
  volatile uint32_t done;    /* the guest makes it equal to answer */
  uint64_t operation;
  uint64_t address;
  uint64_t width;
  uint64_t value;
  uint64_t length;
  volatile uint64_t flag;
  uint64_t patterns[2];
  uint64_t result;
  uint64_t mismatches;
  uint64_t seen[2];
};

#endif /* DAXVMM_TESTS_MICROGUEST_MAILBOX_H_ */
