// What a guest is told of its processors. Chosen here, not inherited: every paravirtual feature that the guest may use
// is on a list, and a feature that a newer host brings stays off until it is put there.
#ifndef DAXVMM_VMM_CPUID_H_
#define DAXVMM_VMM_CPUID_H_

#include <cstdint>
#include <span>
#include <vector>

#include "vmm/kvm/kvm_abi.h"

namespace daxvmm::vmm {

struct CpuidOptions {
  unsigned cpu_count = 1;
  // KVM_CAP_TSC_DEADLINE_TIMER: KVM_GET_SUPPORTED_CPUID leaves the bit out, although the in-kernel APIC has the timer.
  bool tsc_deadline_timer = false;
};

// The entries for KVM_SET_CPUID2 of vCPU `index`, made from what the host's KVM supports.
std::vector<kvm_cpuid_entry2> ChooseCpuid(std::span<const kvm_cpuid_entry2> supported, unsigned index,
                                          const CpuidOptions& options);

// The width of a guest-physical address (leaf 0x80000008, EAX[7:0]); 36 where the leaf is absent.
unsigned PhysicalAddressBits(std::span<const kvm_cpuid_entry2> entries);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_CPUID_H_
