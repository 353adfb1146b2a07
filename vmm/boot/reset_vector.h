// What a guest finds where a PC's firmware would be entered after a reset.
#ifndef DAXVMM_VMM_BOOT_RESET_VECTOR_H_
#define DAXVMM_VMM_BOOT_RESET_VECTOR_H_

#include "absl/status/status.h"
#include "memory/guest_memory.h"

namespace daxvmm::vmm::boot {

// Puts a few instructions of real-mode code at layout::kFirmwareEntry that ask for a reset through the ACPI reset
// register. A Linux kernel on hardware-reduced ACPI without EFI reboots by jumping there (reboot_init and
// machine_real_restart in arch/x86/kernel/reboot.c, Linux 6.1), and would otherwise execute whatever lies in low
// memory, for ever. INTERNAL if `memory` has no RAM there.
absl::Status WriteResetVector(const memory::GuestMemory& memory);

}  // namespace daxvmm::vmm::boot

#endif  // DAXVMM_VMM_BOOT_RESET_VECTOR_H_
