// KVM's ioctls, one class per kind of descriptor. Thin: each method is one ioctl with its argument checked and its
// error named; what to do with them is decided elsewhere.
#ifndef DAXVMM_VMM_KVM_KVM_H_
#define DAXVMM_VMM_KVM_KVM_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "memory/guest_memory.h"
#include "memory/mapping.h"
#include "vmm/kvm/kvm_abi.h"

namespace daxvmm::vmm {

// A virtual CPU's descriptor and its shared kvm_run page. Every method but RequestExit belongs to the thread that runs
// the vCPU.
class [[nodiscard]] KvmVcpu {
 public:
  KvmVcpu(KvmVcpu&&) = default;
  KvmVcpu& operator=(KvmVcpu&&) = default;

  // KVM_RUN: 0, or the errno it failed with (EINTR, EAGAIN, EFAULT, ...).
  int Run();
  kvm_run& state() { return *reinterpret_cast<kvm_run*>(run_.data()); }

  // Makes the current or the next Run return EINTR. Any thread; must be followed by a signal to the vCPU's thread if it
  // may be in the guest.
  void RequestExit();
  // Takes RequestExit back.
  void ClearExitRequest();
  // The signals that are blocked while the guest runs, in place of the thread's own mask: a signal that is blocked in
  // the thread but not here makes Run return EINTR and stays pending, so that no handler is ever needed.
  absl::Status SetSignalMask(const sigset_t& blocked);

  // Tells the guest that it did not run for a while, so that its watchdogs do not take that for a hang. Nothing happens
  // where the guest has no kvmclock (KVM answers EINVAL), or KVM cannot do it.
  void TellGuestOfPause();

  absl::StatusOr<kvm_regs> GetRegs();
  absl::Status SetRegs(const kvm_regs& regs);
  absl::StatusOr<kvm_sregs> GetSregs();
  absl::Status SetSregs(const kvm_sregs& sregs);
  // The guest-physical address behind a linear one, by the guest's page tables as they are; nullopt if there is none.
  std::optional<GuestPhysAddr> Translate(uint64_t linear);
  absl::Status SetFpu(const kvm_fpu& fpu);
  absl::Status SetCpuid(std::span<const kvm_cpuid_entry2> entries);
  // FAILED_PRECONDITION naming the first register that KVM refuses.
  absl::Status SetMsrs(std::span<const kvm_msr_entry> msrs);
  absl::Status SetMpState(const kvm_mp_state& state);
  absl::StatusOr<kvm_lapic_state> GetLapic();
  absl::Status SetLapic(const kvm_lapic_state& lapic);

 private:
  friend class KvmVm;
  KvmVcpu(UniqueFd fd, memory::Mapping run) : fd_(std::move(fd)), run_(std::move(run)) {}
  UniqueFd fd_;
  memory::Mapping run_;
};

// A virtual machine's descriptor. Set-up methods are for one thread; the descriptor itself is thread-safe.
class [[nodiscard]] KvmVm {
 public:
  KvmVm(KvmVm&&) = default;
  KvmVm& operator=(KvmVm&&) = default;

  // Must precede the vCPUs; VT-x needs both (protocol order of Documentation/virt/kvm/api.rst).
  absl::Status SetTssAddress(GuestPhysAddr at);
  absl::Status SetIdentityMapAddress(GuestPhysAddr at);
  // In-kernel local APICs, IOAPIC and PIC.
  absl::Status CreateIrqchip();
  // GSI n goes to IOAPIC pin n, for n in [0, pins), and nowhere else.
  absl::Status RouteGsisToIoApic(unsigned pins);
  absl::Status SetMemory(MemorySlot slot, const memory::Region& region);
  // Each signal of `event` pulses the edge-triggered line `gsi`.
  absl::Status AddIrqFd(const EventFd& event, Gsi gsi);
  // A 32-bit guest store of `value` to `at` signals `event` and does not exit to user space.
  absl::Status AddIoEventFd(const EventFd& event, GuestPhysAddr at, uint32_t value);
  absl::StatusOr<KvmVcpu> CreateVcpu(unsigned index);

 private:
  friend class KvmSystem;
  KvmVm(UniqueFd fd, ByteCount run_size) : fd_(std::move(fd)), run_size_(run_size) {}
  UniqueFd fd_;
  ByteCount run_size_;
};

// /dev/kvm.
class [[nodiscard]] KvmSystem {
 public:
  // NOT_FOUND, PERMISSION_DENIED or another code with a message that says what to do; UNIMPLEMENTED for an API other
  // than 12.
  static absl::StatusOr<KvmSystem> Open(const std::string& path = "/dev/kvm");

  // The value of KVM_CHECK_EXTENSION; 0 means absent.
  int Extension(int capability) const;
  absl::StatusOr<KvmVm> CreateVm() const;
  // What KVM_GET_SUPPORTED_CPUID offers.
  absl::StatusOr<std::vector<kvm_cpuid_entry2>> SupportedCpuid() const;

 private:
  explicit KvmSystem(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_KVM_KVM_H_
