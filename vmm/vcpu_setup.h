// A vCPU's registers before it first runs.
#ifndef DAXVMM_VMM_VCPU_SETUP_H_
#define DAXVMM_VMM_VCPU_SETUP_H_

#include <span>

#include "absl/status/status.h"
#include "vmm/boot/linux_boot.h"
#include "vmm/kvm/kvm.h"

namespace daxvmm::vmm {

// What every vCPU gets: its CPUID, the model-specific registers and FPU state of a processor out of reset, and a local
// APIC whose LINT0 takes the (absent) PIC and LINT1 the NMI.
absl::Status SetUpVcpu(KvmVcpu* vcpu, std::span<const kvm_cpuid_entry2> cpuid);

// The first vCPU starts at the kernel's entry in long mode; the others wait for the kernel to start them by INIT and
// SIPI, which KVM handles by itself.
absl::Status SetUpBootVcpu(KvmVcpu* vcpu, const boot::BootState& state);

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_VCPU_SETUP_H_
