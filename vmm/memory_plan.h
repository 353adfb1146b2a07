// Where RAM and DAX windows go in guest-physical space.
#ifndef DAXVMM_VMM_MEMORY_PLAN_H_
#define DAXVMM_VMM_MEMORY_PLAN_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/units.h"

namespace daxvmm::vmm {

struct AddressRange {
  GuestPhysAddr base;
  ByteCount size;
  bool operator==(const AddressRange&) const = default;
};

struct MemoryPlan {
  std::vector<AddressRange> ram;      // one range, or two if RAM reaches beyond the device hole below 4 GiB
  std::vector<AddressRange> windows;  // one per given size; a size of 0 gives an empty range
};

// RAM from 0 up to the hole at 3 GiB, the rest from 4 GiB; then each window on a boundary of layout::kWindowAlignment.
// A window must end within `address_bits`, and below 10 TiB: a guest kernel that randomizes its direct map leaves room
// for no more above its RAM (arch/x86/mm/kaslr.c of Linux 6.1). INVALID_ARGUMENT that begins with "mem:" or "share:"
// says what does not fit.
absl::StatusOr<MemoryPlan> PlanMemory(ByteCount ram, std::span<const ByteCount> windows, unsigned address_bits);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_MEMORY_PLAN_H_
