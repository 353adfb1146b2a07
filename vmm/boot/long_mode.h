// The tables that a CPU needs to start in 64-bit mode, as Linux's 64-bit boot protocol asks for (boot.rst).
#ifndef DAXVMM_VMM_BOOT_LONG_MODE_H_
#define DAXVMM_VMM_BOOT_LONG_MODE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "base/units.h"
#include "memory/guest_memory.h"

namespace daxvmm::vmm::boot {

// A segment register with its hidden part; the fields are those of an x86 descriptor (and of struct kvm_segment).
struct SegmentState {
  uint64_t base = 0;
  uint32_t limit = 0;  // in bytes, whatever the granularity
  uint16_t selector = 0;
  uint8_t type = 0;
  bool present = true;
  uint8_t dpl = 0;
  bool db = false;           // 32-bit default operand size
  bool system = false;       // true: the descriptor's S bit is 0
  bool long_mode = false;    // L
  bool granularity = false;  // the descriptor's limit counts pages
};

struct LongModeState {
  GuestPhysAddr page_table_root;  // for CR3: the first 4 GiB, identity-mapped, writable, supervisor only
  GuestPhysAddr gdt;
  uint16_t gdt_limit = 0;
  SegmentState code;  // CS: selector 0x10, flat, 64-bit
  SegmentState data;  // DS, ES, FS, GS, SS: selector 0x18, flat
  SegmentState task;  // TR: a busy 64-bit TSS, which VT-x wants to see
};

// Writes the page tables and the GDT to their places in vmm/layout.h. INTERNAL if `memory` has no RAM there.
absl::StatusOr<LongModeState> WriteLongModeTables(const memory::GuestMemory& memory);

}  // namespace daxvmm::vmm::boot

#endif  // DAXVMM_VMM_BOOT_LONG_MODE_H_
