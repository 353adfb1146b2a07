#include "vmm/vcpu_setup.h"

#include <cstring>

#include "base/status.h"

namespace daxvmm::vmm {
namespace {

// Intel SDM volume 4, AMD APM volume 2 appendix A.
constexpr uint32_t kMsrTsc = 0x10;
constexpr uint32_t kMsrSysenterCs = 0x174;
constexpr uint32_t kMsrSysenterEsp = 0x175;
constexpr uint32_t kMsrSysenterEip = 0x176;
constexpr uint32_t kMsrMiscEnable = 0x1a0;
constexpr uint32_t kMsrMtrrDefType = 0x2ff;
constexpr uint32_t kMsrStar = 0xc0000081;
constexpr uint32_t kMsrLstar = 0xc0000082;
constexpr uint32_t kMsrCstar = 0xc0000083;
constexpr uint32_t kMsrSyscallMask = 0xc0000084;
constexpr uint32_t kMsrKernelGsBase = 0xc0000102;

constexpr uint64_t kMiscEnableFastString = 1;
// MTRRs on, no fixed or variable range, default type write-back: without it the guest takes the DAX window for
// uncached memory (pat_x_mtrr_type in arch/x86/mm/pat/memtype.c of Linux).
constexpr uint64_t kMtrrEnabledWriteBack = 0x806;

constexpr uint64_t kCr0ProtectedMode = 1 << 0;
constexpr uint64_t kCr0ExtensionType = 1 << 4;
constexpr uint64_t kCr0NumericError = 1 << 5;
constexpr uint64_t kCr0Paging = uint64_t{1} << 31;
constexpr uint64_t kCr4PhysicalAddressExtension = 1 << 5;
constexpr uint64_t kEferLongModeEnable = 1 << 8;
constexpr uint64_t kEferLongModeActive = 1 << 10;
constexpr uint64_t kRflagsReserved = 1 << 1;

constexpr size_t kApicLvt0 = 0x350;
constexpr size_t kApicLvt1 = 0x360;
constexpr uint32_t kApicModeNmi = 4;
constexpr uint32_t kApicModeExtInt = 7;

constexpr uint16_t kFpuControlWord = 0x37f;
constexpr uint32_t kMxcsr = 0x1f80;

kvm_segment ToKvm(const boot::SegmentState& from) {
  kvm_segment to{};
  to.base = from.base;
  to.limit = from.limit;
  to.selector = from.selector;
  to.type = from.type;
  to.present = from.present ? 1 : 0;
  to.dpl = from.dpl;
  to.db = from.db ? 1 : 0;
  to.s = from.system ? 0 : 1;
  to.l = from.long_mode ? 1 : 0;
  to.g = from.granularity ? 1 : 0;
  return to;
}

void SetDeliveryMode(kvm_lapic_state* lapic, size_t lvt, uint32_t mode) {
  uint32_t value = 0;
  std::memcpy(&value, lapic->regs + lvt, sizeof(value));
  value = (value & ~0x700u) | (mode << 8);
  std::memcpy(lapic->regs + lvt, &value, sizeof(value));
}

}  // namespace

absl::Status SetUpVcpu(KvmVcpu* vcpu, std::span<const kvm_cpuid_entry2> cpuid) {
  RETURN_IF_ERROR(vcpu->SetCpuid(cpuid));
  const kvm_msr_entry msrs[] = {
      {.index = kMsrSysenterCs, .reserved = 0, .data = 0},
      {.index = kMsrSysenterEsp, .reserved = 0, .data = 0},
      {.index = kMsrSysenterEip, .reserved = 0, .data = 0},
      {.index = kMsrStar, .reserved = 0, .data = 0},
      {.index = kMsrLstar, .reserved = 0, .data = 0},
      {.index = kMsrCstar, .reserved = 0, .data = 0},
      {.index = kMsrSyscallMask, .reserved = 0, .data = 0},
      {.index = kMsrKernelGsBase, .reserved = 0, .data = 0},
      {.index = kMsrTsc, .reserved = 0, .data = 0},
      {.index = kMsrMiscEnable, .reserved = 0, .data = kMiscEnableFastString},
      {.index = kMsrMtrrDefType, .reserved = 0, .data = kMtrrEnabledWriteBack},
  };
  RETURN_IF_ERROR(vcpu->SetMsrs(msrs));
  kvm_fpu fpu{};
  fpu.fcw = kFpuControlWord;
  fpu.mxcsr = kMxcsr;
  RETURN_IF_ERROR(vcpu->SetFpu(fpu));
  ASSIGN_OR_RETURN(kvm_lapic_state lapic, vcpu->GetLapic());
  SetDeliveryMode(&lapic, kApicLvt0, kApicModeExtInt);
  SetDeliveryMode(&lapic, kApicLvt1, kApicModeNmi);
  return vcpu->SetLapic(lapic);
}

absl::Status SetUpBootVcpu(KvmVcpu* vcpu, const boot::BootState& state) {
  ASSIGN_OR_RETURN(kvm_sregs sregs, vcpu->GetSregs());
  sregs.cs = ToKvm(state.cpu.code);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = ToKvm(state.cpu.data);
  sregs.tr = ToKvm(state.cpu.task);
  sregs.gdt.base = state.cpu.gdt.raw();
  sregs.gdt.limit = state.cpu.gdt_limit;
  sregs.idt.base = 0;
  sregs.idt.limit = 0;
  sregs.cr0 = kCr0ProtectedMode | kCr0ExtensionType | kCr0NumericError | kCr0Paging;
  sregs.cr3 = state.cpu.page_table_root.raw();
  sregs.cr4 = kCr4PhysicalAddressExtension;
  sregs.efer = kEferLongModeEnable | kEferLongModeActive;
  RETURN_IF_ERROR(vcpu->SetSregs(sregs));
  kvm_regs regs{};
  regs.rip = state.entry.raw();
  regs.rsi = state.boot_params.raw();
  regs.rsp = state.stack.raw();
  regs.rflags = kRflagsReserved;
  return vcpu->SetRegs(regs);
}

}  // namespace daxvmm::vmm
