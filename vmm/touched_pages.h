// Which pages a vCPU's present instruction touches. KVM tells the address of a fault only where it hands the access to
// user space as one to MMIO; for the rest it fails KVM_RUN with EFAULT and leaves the vCPU as it was at the fault.
#ifndef DAXVMM_VMM_TOUCHED_PAGES_H_
#define DAXVMM_VMM_TOUCHED_PAGES_H_

#include <vector>

#include "memory/guest_memory.h"
#include "vmm/fault_mender.h"
#include "vmm/kvm/kvm.h"

namespace daxvmm::vmm {

// The pages of the instruction itself and of its memory operands that have a guest-physical address; with
// `with_perhaps` also those behind an operand's first page. What cannot be found out is left out. On the vCPU's thread.
std::vector<TouchedPage> FindTouchedPages(KvmVcpu* vcpu, const memory::GuestMemory& memory, bool with_perhaps);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_TOUCHED_PAGES_H_
