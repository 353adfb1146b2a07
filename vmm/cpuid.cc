#include "vmm/cpuid.h"

#include <asm/kvm_para.h>

#include <bit>

namespace daxvmm::vmm {
namespace {

constexpr uint32_t kLeaf1EcxTscDeadline = 1u << 24;
constexpr uint32_t kLeaf1EcxHypervisor = 1u << 31;
constexpr uint32_t kLeaf1EdxHtt = 1u << 28;

// What a guest may use of KVM's paravirtual interface. Left out on purpose:
// - asynchronous page faults (ASYNC_PF, ASYNC_PF_VMEXIT, ASYNC_PF_INT): a fault on a window page whose file was
//   truncated can never be completed, and the guest would wait for a "page ready" that does not come;
// - MIGRATION_CONTROL, HC_MAP_GPA_RANGE: need a user space that answers them;
// - MSI_EXT_DEST_ID: more than 255 vCPUs, which the APIC set-up here does not offer.
constexpr uint32_t kParavirtualFeatures =
    (1u << KVM_FEATURE_CLOCKSOURCE) | (1u << KVM_FEATURE_NOP_IO_DELAY) | (1u << KVM_FEATURE_CLOCKSOURCE2) |
    (1u << KVM_FEATURE_STEAL_TIME) | (1u << KVM_FEATURE_PV_EOI) | (1u << KVM_FEATURE_PV_UNHALT) |
    (1u << KVM_FEATURE_PV_TLB_FLUSH) | (1u << KVM_FEATURE_PV_SEND_IPI) | (1u << KVM_FEATURE_POLL_CONTROL) |
    (1u << KVM_FEATURE_PV_SCHED_YIELD) | (1u << KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);

// Bits that hold a CPU number below `count`.
unsigned IdBits(unsigned count) { return static_cast<unsigned>(std::bit_width(count - 1)); }

// Extended topology (Intel SDM, CPUID leaves 0xb and 0x1f): one package, a core per vCPU, no SMT.
void SetTopology(kvm_cpuid_entry2* entry, unsigned index, unsigned cpu_count) {
  constexpr uint32_t kLevelSmt = 1;
  constexpr uint32_t kLevelCore = 2;
  entry->eax = entry->ebx = 0;
  entry->ecx = entry->index;
  entry->edx = index;
  if (entry->index == 0) {
    entry->ebx = 1;
    entry->ecx |= kLevelSmt << 8;
  } else if (entry->index == 1) {
    entry->eax = IdBits(cpu_count);
    entry->ebx = cpu_count;
    entry->ecx |= kLevelCore << 8;
  }
}

}  // namespace

std::vector<kvm_cpuid_entry2> ChooseCpuid(std::span<const kvm_cpuid_entry2> supported, unsigned index,
                                          const CpuidOptions& options) {
  std::vector<kvm_cpuid_entry2> chosen(supported.begin(), supported.end());
  for (kvm_cpuid_entry2& entry : chosen) {
    switch (entry.function) {
      case 0x1:
        entry.ebx = (entry.ebx & 0x0000ffff) | (options.cpu_count << 16) | (index << 24);
        entry.ecx |= kLeaf1EcxHypervisor;
        if (options.tsc_deadline_timer) entry.ecx |= kLeaf1EcxTscDeadline;
        entry.edx = options.cpu_count > 1 ? entry.edx | kLeaf1EdxHtt : entry.edx & ~kLeaf1EdxHtt;
        break;
      case 0x4:  // Intel cache parameters: the host's sharing says nothing of the guest
        entry.eax = (entry.eax & 0x00003fff) | ((options.cpu_count - 1) << 26);
        break;
      case 0xa:  // no performance monitoring unit
        entry.eax = entry.ebx = entry.ecx = entry.edx = 0;
        break;
      case 0xb:
      case 0x1f:
        SetTopology(&entry, index, options.cpu_count);
        break;
      case KVM_CPUID_FEATURES:
        entry.eax &= kParavirtualFeatures;
        entry.edx = 0;  // no promise about how vCPUs are scheduled
        break;
      case 0x80000008:  // ECX: AMD's core count and the width of its APIC id
        entry.ecx = (entry.ecx & ~0xf0ffu) | (options.cpu_count - 1) | (IdBits(options.cpu_count) << 12);
        break;
      case 0x8000001d:  // AMD cache parameters: each cache belongs to one core
        entry.eax &= 0x00003fff;
        break;
      case 0x8000001e:  // AMD topology: extended APIC id, core id, one thread per core, one node
        entry.eax = index;
        entry.ebx = index & 0xff;
        entry.ecx = 0;
        break;
      default:
        break;
    }
  }
  return chosen;
}

unsigned PhysicalAddressBits(std::span<const kvm_cpuid_entry2> entries) {
  for (const kvm_cpuid_entry2& entry : entries) {
    if (entry.function == 0x80000008) return entry.eax & 0xff;
  }
  return 36;
}

}  // namespace daxvmm::vmm
