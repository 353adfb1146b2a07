// Puts a Linux kernel, its initramfs, its command line and all that the 64-bit boot protocol asks for into guest
// memory.
#ifndef DAXVMM_VMM_BOOT_LINUX_BOOT_H_
#define DAXVMM_VMM_BOOT_LINUX_BOOT_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/units.h"
#include "memory/guest_memory.h"
#include "vmm/boot/boot_file.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/long_mode.h"

namespace daxvmm::vmm::boot {

struct BootRequest {
  const KernelImage& kernel;
  const BootFile* initramfs = nullptr;  // nullptr: none
  std::string command_line;             // without NUL
  // WriteAcpiTables' result; none leaves the kernel to search for it.
  std::optional<GuestPhysAddr> rsdp;
};

// How the first CPU starts: long mode with paging on, interrupts off (RFLAGS = 2), RIP = entry, RSI = boot_params,
// RSP = stack, an empty IDT, and the tables and segments of `cpu`.
struct BootState {
  GuestPhysAddr entry;
  GuestPhysAddr boot_params;
  GuestPhysAddr stack;
  LongModeState cpu;
  std::optional<GuestPhysAddr> initramfs;  // where it was put
};

// `memory` holds RAM from address 0 up, and must be fresh, that is, zero. Everything is checked to fit before anything
// is written. INVALID_ARGUMENT, or a read error's code, whose text begins with "kernel:", "initrd:", "cmdline:" or
// "mem:" says what the operator would have to change; INTERNAL if `memory` has no RAM where low memory belongs.
absl::StatusOr<BootState> LoadLinux(const BootRequest& request, const memory::GuestMemory& memory);

}  // namespace daxvmm::vmm::boot

#endif  // DAXVMM_VMM_BOOT_LINUX_BOOT_H_
