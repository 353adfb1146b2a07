#include "vmm/vcpu.h"

#include <csignal>
#include <ctime>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"
#include "vmm/touched_pages.h"

namespace daxvmm::vmm {
namespace {

// Blocked in every thread of this library and unblocked only inside KVM_RUN, where it makes the ioctl return EINTR
// without ever being delivered: no handler is installed in the embedder's process.
int KickSignal() { return SIGRTMIN + 6; }

VcpuExit ExitOf(uint32_t kvm_exit_reason) {
  switch (kvm_exit_reason) {
    case KVM_EXIT_IO:
      return VcpuExit::kIo;
    case KVM_EXIT_MMIO:
      return VcpuExit::kMmio;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return VcpuExit::kInterrupt;
    case KVM_EXIT_SYSTEM_EVENT:
      return VcpuExit::kSystemEvent;
    case KVM_EXIT_SHUTDOWN:
      return VcpuExit::kShutdown;
    case KVM_EXIT_HLT:
      return VcpuExit::kHalt;
    case KVM_EXIT_FAIL_ENTRY:
      return VcpuExit::kFailEntry;
    case KVM_EXIT_INTERNAL_ERROR:
      return VcpuExit::kInternalError;
    default:
      return VcpuExit::kOther;
  }
}

void DiscardPendingKick() {
  sigset_t kick;
  sigemptyset(&kick);
  sigaddset(&kick, KickSignal());
  const timespec now{};
  while (sigtimedwait(&kick, nullptr, &now) > 0) {
  }
}

}  // namespace

Vcpu::Vcpu(unsigned index, KvmVcpu kvm, const VcpuBuses& buses, VcpuGate* gate, VcpuEnvironment* environment)
    : index_(index), kvm_(std::move(kvm)), buses_(buses), gate_(gate), environment_(environment), mender_(buses.guard) {
  gate_->SetKick(index_, [this] { Kick(); });
}

Vcpu::~Vcpu() {
  RequestStop();
  Join();
}

absl::Status Vcpu::Start() {
  sigset_t in_guest;
  sigfillset(&in_guest);
  sigdelset(&in_guest, KickSignal());
  if (absl::Status status = kvm_.SetSignalMask(in_guest); !status.ok()) return status;
  thread_ = NamedThread(absl::StrCat("vcpu", index_), [this] { Loop(); });
  return absl::OkStatus();
}

void Vcpu::RequestStop() {
  stop_.store(true, std::memory_order_release);
  Kick();
  gate_->Nudge();
}

void Vcpu::RequestReport() {
  report_.store(true, std::memory_order_release);
  Kick();
  gate_->Nudge();
}

void Vcpu::Kick() {
  kvm_.RequestExit();
  if (thread_.joinable()) pthread_kill(thread_.native_handle(), KickSignal());
}

void Vcpu::Report() {
  const absl::StatusOr<kvm_regs> regs = kvm_.GetRegs();
  const absl::StatusOr<kvm_sregs> sregs = kvm_.GetSregs();
  if (!regs.ok() || !sregs.ok()) return;
  LOG(kWarning) << absl::StrFormat("vCPU %d: rip 0x%x, rsp 0x%x, rflags 0x%x, cs 0x%x, cr2 0x%x, cr3 0x%x", index_,
                                   regs->rip, regs->rsp, regs->rflags, sregs->cs.selector, sregs->cr2, sregs->cr3);
}

void Vcpu::Loop() {
  while (!stop_.load(std::memory_order_acquire)) {
    if (report_.load(std::memory_order_acquire)) {
      report_.store(false, std::memory_order_release);
      Report();
    }
    if (!gate_->Enter(index_)) {
      gate_->AwaitOpen(
          [this] { return stop_.load(std::memory_order_acquire) || report_.load(std::memory_order_acquire); });
      continue;
    }
    const int err = RunGuest();
    gate_->Leave(index_);
    switch (err) {
      case 0:
        if (!HandleExit()) return;
        break;
      case EINTR:
      case EAGAIN:
        counts_.CountExit(VcpuExit::kKick);
        DiscardPendingKick();
        kvm_.ClearExitRequest();
        break;
      case EFAULT:
        counts_.CountExit(VcpuExit::kUnreachablePage);
        if (!HandleUnreachablePage()) return;
        break;
      default:
        environment_->EndGuest({GuestEndKind::kHostError, absl::StrCat("vCPU ", index_, ": KVM_RUN: ", strerror(err))});
        return;
    }
  }
}

int Vcpu::RunGuest() {
  if (!entered_) {
    entered_ = true;
    closings_seen_ = gate_->closings();
    environment_->FirstEntry(index_);
  } else if (const uint64_t closings = gate_->closings(); closings != closings_seen_) {
    closings_seen_ = closings;
    kvm_.TellGuestOfPause();
  }
  mender_.Entering();
  return kvm_.Run();
}

bool Vcpu::HandleExit() {
  const kvm_run& run = kvm_.state();
  counts_.CountExit(ExitOf(run.exit_reason));
  switch (run.exit_reason) {
    case KVM_EXIT_IO:
      HandleIo();
      return true;
    case KVM_EXIT_MMIO:
      return HandleMmio();
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return true;
    case KVM_EXIT_SHUTDOWN:
      EndWithFault("shut its processor down by a triple fault");
      return false;
    case KVM_EXIT_HLT:
      // Only without the in-kernel interrupt controller: nothing could wake this vCPU again.
      EndWithFault("halted for ever");
      return false;
    case KVM_EXIT_SYSTEM_EVENT:
      switch (run.system_event.type) {
        case KVM_SYSTEM_EVENT_SHUTDOWN:
          environment_->EndGuest({GuestEndKind::kPowerOff, ""});
          return false;
        case KVM_SYSTEM_EVENT_RESET:
          environment_->EndGuest({GuestEndKind::kReset, "the guest asked for a reboot"});
          return false;
        default:
          environment_->EndGuest({GuestEndKind::kPanic, "the guest reported a crash"});
          return false;
      }
    case KVM_EXIT_FAIL_ENTRY:
      environment_->EndGuest(
          {GuestEndKind::kHostError, absl::StrFormat("vCPU %d: the processor refused to enter the guest, reason 0x%x",
                                                     index_, run.fail_entry.hardware_entry_failure_reason)});
      return false;
    case KVM_EXIT_INTERNAL_ERROR:
      // How a KVM that emulates the instruction reports an atomic access to a page that it cannot reach. The vCPU
      // stands before the instruction still.
      if (run.internal.suberror == KVM_INTERNAL_ERROR_EMULATION && !MendTouchedPages().has_value()) return true;
      environment_->EndGuest({GuestEndKind::kHostError, absl::StrFormat("vCPU %d: KVM internal error %d%s", index_,
                                                                        run.internal.suberror, Where())});
      return false;
    default:
      environment_->EndGuest({GuestEndKind::kHostError,
                              absl::StrFormat("vCPU %d: unexpected KVM exit %d%s", index_, run.exit_reason, Where())});
      return false;
  }
}

void Vcpu::HandleIo() {
  kvm_run& run = kvm_.state();
  uint8_t* data = reinterpret_cast<uint8_t*>(&run) + run.io.data_offset;
  for (uint32_t i = 0; i < run.io.count; ++i, data += run.io.size) {
    const std::span<uint8_t> unit(data, run.io.size);
    if (run.io.direction == KVM_EXIT_IO_OUT) {
      buses_.ports->Write(run.io.port, unit);
    } else {
      buses_.ports->Read(run.io.port, unit);
    }
  }
}

bool Vcpu::HandleMmio() {
  kvm_run& run = kvm_.state();
  const std::span<uint8_t> data(run.mmio.data, run.mmio.len);
  const bool write = run.mmio.is_write != 0;
  if (write ? buses_.mmio->Write(run.mmio.phys_addr, data) : buses_.mmio->Read(run.mmio.phys_addr, data)) return true;
  const GuestPhysAddr at(run.mmio.phys_addr);
  const std::optional<std::string> hopeless = buses_.guard->HandleUnbackedAccess(at, data, write);
  if (!hopeless.has_value()) return true;
  EndWithFault(absl::StrFormat("%s guest-physical address 0x%x, which has nothing behind it",
                               write ? "stored to" : "loaded from", at.raw()),
               *hopeless);
  return false;
}

std::optional<std::string> Vcpu::MendTouchedPages() {
  std::optional<std::string> hopeless = mender_.Handle(FindTouchedPages(&kvm_, *buses_.memory, mender_.suspicious()));
  if (!hopeless.has_value()) (mender_.mended() ? counts_.unreachable_mended : counts_.unreachable_retried).Add();
  return hopeless;
}

bool Vcpu::HandleUnreachablePage() {
  // KVM does not say which page it was: the kernel's handling of a failed get_user_pages in kvm_handle_bad_page (Linux
  // 6.1). The vCPU stands before the instruction that touched it.
  const std::optional<std::string> hopeless = MendTouchedPages();
  if (!hopeless.has_value()) return true;
  EndWithFault("touched guest memory that has nothing behind it", *hopeless);
  return false;
}

void Vcpu::EndWithFault(const std::string& what, const std::string& detail) {
  environment_->EndGuest({GuestEndKind::kFault, absl::StrCat("the guest ", what, " (vCPU ", index_, Where(), ")",
                                                             detail.empty() ? "" : "; ", detail)});
}

std::string Vcpu::Where() {
  const absl::StatusOr<kvm_regs> regs = kvm_.GetRegs();
  return regs.ok() ? absl::StrFormat(", rip 0x%x", regs->rip) : std::string();
}

}  // namespace daxvmm::vmm
