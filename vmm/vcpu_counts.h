// What a vCPU's thread counts.
#ifndef DAXVMM_VMM_VCPU_COUNTS_H_
#define DAXVMM_VMM_VCPU_COUNTS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/owned_counter.h"

namespace daxvmm::vmm {

// Why KVM_RUN returned.
enum class VcpuExit : uint8_t {
  kIo,               // an access to a port
  kMmio,             // an access to a device's register, or to nothing
  kKick,             // asked to by another thread
  kInterrupt,        // a signal, or a window for an interrupt
  kUnreachablePage,  // EFAULT: the guest touched a page with nothing behind it
  kSystemEvent,      // power off, reset, crash
  kShutdown,         // triple fault
  kHalt,
  kFailEntry,
  kInternalError,
  kOther,
};
inline constexpr std::array<const char*, 11> kVcpuExitNames = {
    "io",   "mmio",       "kick",           "interrupt", "unreachable_page", "system_event", "shutdown",
    "halt", "fail_entry", "internal_error", "other"};
static_assert(kVcpuExitNames.size() == static_cast<size_t>(VcpuExit::kOther) + 1);

// Written by the vCPU's thread alone, read by any; on cache lines of its own.
struct alignas(kCacheLine) VcpuCounts {
  std::array<OwnedCounter, kVcpuExitNames.size()> exits;  // by VcpuExit
  // Of the touches of unreachable pages after which the vCPU went on: those for which something was mended, by whoever,
  // and those that were only tried again.
  OwnedCounter unreachable_mended;
  OwnedCounter unreachable_retried;

  void CountExit(VcpuExit exit) { exits[static_cast<size_t>(exit)].Add(); }
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_VCPU_COUNTS_H_
