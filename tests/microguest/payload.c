/* The guest program of the micro-guest tests: does one load, store or loop after another as the host asks through a
   mailbox. It runs in user mode (CPL 3) with every page a user page, so that a KVM which runs only user-mode code
   natively runs it natively too, and uses no instruction that needs the kernel: no port, no interrupt, no CPUID.
   Position independent: no globals. The host starts it with the mailbox's address in the first argument register. */
#include "tests/microguest/mailbox.h"

static uint64_t Load(uint64_t address, uint64_t width) {
  switch (width) {
    case 1:
      return *(volatile uint8_t*)address;
    case 2:
      return *(volatile uint16_t*)address;
    case 4:
      return *(volatile uint32_t*)address;
    default:
      return *(volatile uint64_t*)address;
  }
}

static void Store(uint64_t address, uint64_t width, uint64_t value) {
  switch (width) {
    case 1:
      *(volatile uint8_t*)address = (uint8_t)value;
      break;
    case 2:
      *(volatile uint16_t*)address = (uint16_t)value;
      break;
    case 4:
      *(volatile uint32_t*)address = (uint32_t)value;
      break;
    default:
      *(volatile uint64_t*)address = value;
      break;
  }
}

static uint64_t Sum(uint64_t address, uint64_t length, uint64_t stride) {
  uint64_t sum = 0;
  for (uint64_t at = address; at < address + length; at += stride) sum += *(volatile uint64_t*)at;
  return sum;
}

static void Watch(struct Mailbox* box) {
  uint64_t passes = 0;
  uint64_t mismatches = 0;
  uint64_t first = 0;
  uint64_t second = 0;
  do {
    for (uint64_t at = box->address; at < box->address + box->length; at += box->value) {
      const uint64_t word = *(volatile uint64_t*)at;
      if (word == box->patterns[0]) {
        ++first;
      } else if (word == box->patterns[1]) {
        ++second;
      } else {
        ++mismatches;
      }
    }
    ++passes;
  } while (box->flag == 0);
  box->result = passes;
  box->mismatches = mismatches;
  box->seen[0] = first;
  box->seen[1] = second;
}

static void StoreBy(uint64_t instruction, uint64_t address, struct Mailbox* box) {
  uint64_t value = box->value;
  uint64_t count = 8;
  uint64_t from = (uint64_t)&box->value;
  switch (instruction) {
    case kStoreStosb:
      __asm__ volatile("rep stosb" : "+D"(address), "+c"(count) : "a"(value) : "memory");
      break;
    case kStoreMovsq:
      count = 1;
      __asm__ volatile("rep movsq" : "+D"(address), "+S"(from), "+c"(count) : : "memory");
      break;
    case kStoreMovups:
      __asm__ volatile("movq %0, %%xmm0; punpcklqdq %%xmm0, %%xmm0; movups %%xmm0, (%1)"
                       :
                       : "r"(value), "r"(address)
                       : "memory");
      break;
    case kStoreMovnti:
      __asm__ volatile("movnti %0, (%1); sfence" : : "r"(value), "r"(address) : "memory");
      break;
    case kStoreXchg:
      __asm__ volatile("xchg %0, (%1)" : "+r"(value) : "r"(address) : "memory");
      break;
    case kStoreCmpxchg:
      __asm__ volatile("xor %%eax, %%eax; lock cmpxchg %0, (%1)" : : "r"(value), "r"(address) : "memory", "rax", "cc");
      break;
    case kStorePush:
      address += 8;
      __asm__ volatile("xchg %%rsp, %1; push %0; add $8, %%rsp; xchg %%rsp, %1"
                       :
                       : "r"(value), "r"(address)
                       : "memory", "cc");
      break;
    case kStoreOr:
      __asm__ volatile("or %0, (%1)" : : "r"(value), "r"(address) : "memory", "cc");
      break;
    default:
      Store(address, 8, value);
      break;
  }
}

static uint64_t Count(uint64_t address, uint64_t turns) {
  uint64_t wrong = 0;
  for (uint64_t i = 1; i <= turns; ++i) {
    *(volatile uint8_t*)address = (uint8_t)i;
    if (*(volatile uint8_t*)address != (uint8_t)i) ++wrong;
  }
  return wrong;
}

__attribute__((section(".text.start"), used)) void _start(struct Mailbox* box) {
  for (;;) {
    const uint32_t request = __atomic_load_n(&box->request, __ATOMIC_ACQUIRE);
    if (request == box->done) continue;
    switch (box->operation) {
      case kMailboxLoad:
        box->result = Load(box->address, box->width);
        break;
      case kMailboxStore:
        Store(box->address, box->width, box->value);
        break;
      case kMailboxSum:
        box->result = Sum(box->address, box->length, box->value);
        break;
      case kMailboxWatch:
        Watch(box);
        break;
      case kMailboxStoreBy:
        StoreBy(box->width, box->address, box);
        break;
      case kMailboxCount:
        box->result = Count(box->address, box->value);
        break;
      case kMailboxCall:
        ((void (*)(void))box->address)();
        break;
      default:
        break;
    }
    __atomic_store_n(&box->done, request, __ATOMIC_RELEASE);
  }
}
