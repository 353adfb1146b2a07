// Where a guest's linear address lies, by the guest's own page tables.
//
// KVM_TRANSLATE cannot be asked for what a program of the guest touches: it translates as the guest's kernel would, and
// where CR4.SMAP is set that may not reach pages of programs (permission_fault in arch/x86/kvm/mmu.h, Linux 6.1).
#ifndef DAXVMM_VMM_PAGE_WALK_H_
#define DAXVMM_VMM_PAGE_WALK_H_

#include <cstdint>
#include <optional>

#include "base/units.h"
#include "memory/guest_memory.h"

namespace daxvmm::vmm {

// The control registers of 64-bit mode (EFER.LMA).
struct PageTables {
  uint64_t cr3 = 0;
  bool five_levels = false;  // CR4.LA57
};

// nullopt where no page is present, or where a table lies outside of guest memory. Rights are not looked at, and no
// entry is marked as accessed: other vCPUs may change all of it meanwhile, so the answer is a hint. Any thread.
std::optional<GuestPhysAddr> WalkPageTables(const memory::GuestMemory& memory, const PageTables& tables,
                                            uint64_t linear);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_PAGE_WALK_H_
