#include <sys/ioctl.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_format.h"
#include "base/status.h"
#include "vmm/kvm/flex_array.h"
#include "vmm/kvm/kvm.h"

namespace daxvmm::vmm {
namespace {

template <typename T>
absl::StatusOr<T> Get(int fd, unsigned long request, const char* name) {
  T value{};
  if (ioctl(fd, request, &value) < 0) return ErrnoStatus(errno, name);
  return value;
}

template <typename T>
absl::Status Set(int fd, unsigned long request, const T& value, const char* name) {
  if (ioctl(fd, request, &value) < 0) return ErrnoStatus(errno, name);
  return absl::OkStatus();
}

}  // namespace

int KvmVcpu::Run() { return ioctl(fd_.get(), KVM_RUN, 0) < 0 ? errno : 0; }

void KvmVcpu::RequestExit() { __atomic_store_n(&state().immediate_exit, 1, __ATOMIC_RELEASE); }

void KvmVcpu::ClearExitRequest() { __atomic_store_n(&state().immediate_exit, 0, __ATOMIC_RELEASE); }

absl::Status KvmVcpu::SetSignalMask(const sigset_t& blocked) {
  // The kernel's sigset is 8 bytes, the first ones of the C library's.
  uint8_t bits[8];
  static_assert(sizeof(blocked) >= sizeof(bits));
  std::memcpy(bits, &blocked, sizeof(bits));
  FlexArray<kvm_signal_mask, uint8_t> request(bits);
  request->len = sizeof(bits);
  return Set(fd_.get(), KVM_SET_SIGNAL_MASK, *request.get(), "KVM_SET_SIGNAL_MASK");
}

void KvmVcpu::TellGuestOfPause() { ioctl(fd_.get(), KVM_KVMCLOCK_CTRL, 0); }

absl::StatusOr<kvm_regs> KvmVcpu::GetRegs() { return Get<kvm_regs>(fd_.get(), KVM_GET_REGS, "KVM_GET_REGS"); }
absl::Status KvmVcpu::SetRegs(const kvm_regs& regs) { return Set(fd_.get(), KVM_SET_REGS, regs, "KVM_SET_REGS"); }
absl::StatusOr<kvm_sregs> KvmVcpu::GetSregs() { return Get<kvm_sregs>(fd_.get(), KVM_GET_SREGS, "KVM_GET_SREGS"); }
absl::Status KvmVcpu::SetSregs(const kvm_sregs& sregs) { return Set(fd_.get(), KVM_SET_SREGS, sregs, "KVM_SET_SREGS"); }
absl::Status KvmVcpu::SetFpu(const kvm_fpu& fpu) { return Set(fd_.get(), KVM_SET_FPU, fpu, "KVM_SET_FPU"); }
absl::Status KvmVcpu::SetMpState(const kvm_mp_state& state) {
  return Set(fd_.get(), KVM_SET_MP_STATE, state, "KVM_SET_MP_STATE");
}
std::optional<GuestPhysAddr> KvmVcpu::Translate(uint64_t linear) {
  kvm_translation translation{};
  translation.linear_address = linear;
  if (ioctl(fd_.get(), KVM_TRANSLATE, &translation) < 0 || translation.valid == 0) return std::nullopt;
  return GuestPhysAddr(translation.physical_address);
}

absl::StatusOr<kvm_lapic_state> KvmVcpu::GetLapic() {
  return Get<kvm_lapic_state>(fd_.get(), KVM_GET_LAPIC, "KVM_GET_LAPIC");
}
absl::Status KvmVcpu::SetLapic(const kvm_lapic_state& lapic) {
  return Set(fd_.get(), KVM_SET_LAPIC, lapic, "KVM_SET_LAPIC");
}

absl::Status KvmVcpu::SetCpuid(std::span<const kvm_cpuid_entry2> entries) {
  FlexArray<kvm_cpuid2, kvm_cpuid_entry2> cpuid(entries);
  cpuid->nent = static_cast<uint32_t>(entries.size());
  if (ioctl(fd_.get(), KVM_SET_CPUID2, cpuid.get()) < 0) return ErrnoStatus(errno, "KVM_SET_CPUID2");
  return absl::OkStatus();
}

absl::Status KvmVcpu::SetMsrs(std::span<const kvm_msr_entry> msrs) {
  FlexArray<kvm_msrs, kvm_msr_entry> request(msrs);
  request->nmsrs = static_cast<uint32_t>(msrs.size());
  const int done = ioctl(fd_.get(), KVM_SET_MSRS, request.get());
  if (done < 0) return ErrnoStatus(errno, "KVM_SET_MSRS");
  if (static_cast<size_t>(done) != msrs.size()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("KVM_SET_MSRS: KVM refuses register 0x%x", msrs[static_cast<size_t>(done)].index));
  }
  return absl::OkStatus();
}

}  // namespace daxvmm::vmm
