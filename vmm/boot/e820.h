// The map of its RAM that the guest's kernel gets.
#ifndef DAXVMM_VMM_BOOT_E820_H_
#define DAXVMM_VMM_BOOT_E820_H_

#include <asm/bootparam.h>

#include <vector>

#include "memory/guest_memory.h"

namespace daxvmm::vmm::boot {

// Every RAM region, in ascending order; between layout::kLowMemoryEnd and layout::kHighMemoryStart, where firmware
// tables lie, it is reserved. DAX windows are left out: a guest's driver claims them, which fails for RAM (ENXIO) and
// need not be told by the map (devm_request_mem_region and region_intersects, Linux 6.1).
std::vector<boot_e820_entry> E820Map(const memory::GuestMemory& memory);

}  // namespace daxvmm::vmm::boot

#endif  // DAXVMM_VMM_BOOT_E820_H_
