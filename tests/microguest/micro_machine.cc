#include "tests/microguest/micro_machine.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "vmm/layout.h"

namespace daxvmm::microguest {
namespace {

constexpr char kPayloadFile[] = "tests/microguest/payload.bin";

// Present, writable, and reachable from user mode; the last level maps 2 MiB.
constexpr uint64_t kTableEntry = 0x7;
constexpr uint64_t kLargePageEntry = 0x87;
constexpr unsigned kGigabytesMapped = 8;
constexpr ByteCount kStackSize = KiB(64);

kvm_segment FlatSegment(bool code, uint8_t privilege) {
  kvm_segment segment{};
  segment.limit = 0xffffffff;
  segment.selector = static_cast<uint16_t>((code ? 0x30 : 0x28) | privilege);
  segment.type = code ? 0xb : 0x3;
  segment.present = segment.s = segment.g = 1;
  segment.dpl = privilege;
  segment.l = code ? 1 : 0;
  segment.db = code ? 0 : 1;
  return segment;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MicroMachine>> MicroMachine::Create(const MicroMachineOptions& options) {
  absl::StatusOr<vmm::KvmSystem> kvm = vmm::KvmSystem::Open();
  if (!kvm.ok()) return absl::UnavailableError(kvm.status().message());
  ASSIGN_OR_RETURN(vmm::KvmVm vm, kvm->CreateVm());
  ASSIGN_OR_RETURN(memory::MappingWindow window, memory::MappingWindow::Create(options.window));
  std::unique_ptr<MicroMachine> machine(new MicroMachine(options, std::move(vm), std::move(window)));
  RETURN_IF_ERROR(machine->Build(*kvm));
  return machine;
}

MicroMachine::MicroMachine(const MicroMachineOptions& options, vmm::KvmVm vm, memory::MappingWindow window)
    : options_(options), vm_(std::move(vm)), window_(std::move(window)), gate_(options.cpus) {
  ram_ = std::make_unique<fakes::GuestRam>(fakes::GuestRamOptions{
      .window_host = window_.host(), .window_size = window_.size(), .window_writable = !options.window_read_only});
}

MicroMachine::~MicroMachine() { Halt(); }

void MicroMachine::Halt() {
  for (auto& vcpu : vcpus_) vcpu->RequestStop();
  vcpus_.clear();
}

absl::Status MicroMachine::Build(const vmm::KvmSystem& kvm) {
  if (options_.irqchip) {
    RETURN_IF_ERROR(vm_.CreateIrqchip());
    // All pins of the IOAPIC are masked until a guest unmasks them; the PIC's are not, and this guest has no handlers.
    RETURN_IF_ERROR(vm_.RouteGsisToIoApic(vmm::layout::kIoApicPins));
  }
  uint32_t slot = 0;
  for (const memory::Region& region : ram_->memory().regions()) {
    RETURN_IF_ERROR(vm_.SetMemory(MemorySlot(slot++), region));
  }
  RETURN_IF_ERROR(LoadPayload());
  RETURN_IF_ERROR(BuildPageTables());
  for (unsigned i = 0; i < options_.cpus; ++i) {
    ASSIGN_OR_RETURN(vmm::KvmVcpu vcpu, MakeVcpu(kvm, i));
    vcpus_.push_back(std::make_unique<vmm::Vcpu>(
        i, std::move(vcpu),
        vmm::VcpuBuses{.mmio = &mmio_, .ports = &ports_, .memory = &ram_->memory(), .guard = &guard_}, &gate_, this));
  }
  return absl::OkStatus();
}

absl::Status MicroMachine::LoadPayload() {
  UniqueFd file(open(kPayloadFile, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, kPayloadFile);
  std::vector<std::byte> code(KiB(16).raw());
  const ssize_t n = read(file.get(), code.data(), code.size());
  if (n <= 0 || static_cast<size_t>(n) == code.size()) return absl::InternalError("the payload is empty or too large");
  payload_ = ram_->Allocate(ByteCount(code.size()));
  ram_->Write(payload_, code);
  return absl::OkStatus();
}

absl::Status MicroMachine::BuildPageTables() {
  // PML4, PDPT, then a page directory per gigabyte.
  page_tables_ = ram_->Allocate(ByteCount(kPageSize.raw() * (2 + kGigabytesMapped)));
  if (!page_tables_.IsAlignedTo(kPageSize)) return absl::InternalError("page tables are not aligned");
  auto* table =
      reinterpret_cast<uint64_t*>(ram_->Host(page_tables_, ByteCount(kPageSize.raw() * (2 + kGigabytesMapped))));
  const size_t entries = kPageSize.raw() / sizeof(uint64_t);
  table[0] = (page_tables_ + kPageSize).raw() | kTableEntry;
  for (unsigned gib = 0; gib < kGigabytesMapped; ++gib) {
    table[entries + gib] = (page_tables_.raw() + (2 + gib) * kPageSize.raw()) | kTableEntry;
    for (size_t i = 0; i < entries; ++i) {
      table[(2 + gib) * entries + i] = (GiB(gib) + ByteCount(i * MiB(2).raw())).raw() | kLargePageEntry;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<vmm::KvmVcpu> MicroMachine::MakeVcpu(const vmm::KvmSystem& kvm, unsigned index) {
  ASSIGN_OR_RETURN(vmm::KvmVcpu vcpu, vm_.CreateVcpu(index));
  ASSIGN_OR_RETURN(const std::vector<kvm_cpuid_entry2> cpuid, kvm.SupportedCpuid());
  RETURN_IF_ERROR(vcpu.SetCpuid(cpuid));
  if (options_.irqchip) RETURN_IF_ERROR(vcpu.SetMpState({.mp_state = KVM_MP_STATE_RUNNABLE}));
  ASSIGN_OR_RETURN(kvm_sregs sregs, vcpu.GetSregs());
  const uint8_t privilege = options_.supervisor ? 0 : 3;
  sregs.cs = FlatSegment(true, privilege);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = FlatSegment(false, privilege);
  sregs.cr0 = 0x80000033;  // PG, NE, ET, MP, PE
  sregs.cr3 = page_tables_.raw();
  sregs.cr4 = 0x620;   // PAE, OSFXSR, OSXMMEXCPT
  sregs.efer = 0x500;  // LME, LMA
  RETURN_IF_ERROR(vcpu.SetSregs(sregs));
  const GuestPhysAddr stack = ram_->Allocate(kStackSize);
  mailbox_at_.push_back(ram_->Allocate(kPageSize));
  mailboxes_.push_back(reinterpret_cast<Mailbox*>(ram_->Host(mailbox_at_.back(), kPageSize)));
  std::memset(mailboxes_.back(), 0, sizeof(Mailbox));
  kvm_regs regs{};
  regs.rip = payload_.raw();
  regs.rsp = (stack + kStackSize).raw() - 8;  // as after a call: the ABI wants 16 n + 8
  regs.rdi = mailbox_at_.back().raw();
  // Interrupts enabled: KVM takes a page fault for asynchronous only then.
  regs.rflags = 0x202;
  RETURN_IF_ERROR(vcpu.SetRegs(regs));
  return vcpu;
}

absl::Status MicroMachine::Start() {
  for (auto& vcpu : vcpus_) RETURN_IF_ERROR(vcpu->Start());
  return absl::OkStatus();
}

void MicroMachine::EndGuest(vmm::GuestEnd end) {
  MutexLock lock(&mu_);
  if (!end_.has_value()) end_ = std::move(end);
  ended_.SignalAll();
}

std::optional<vmm::GuestEnd> MicroMachine::AwaitEnd() {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  MutexLock lock(&mu_);
  while (!end_.has_value()) {
    if (!ended_.WaitUntil(&mu_, deadline)) break;
  }
  return end_;
}

void MicroMachine::Ask(unsigned cpu) {
  Mailbox* box = mailboxes_[cpu];
  __atomic_store_n(&box->request, box->request + 1, __ATOMIC_RELEASE);
}

bool MicroMachine::AwaitAnswer(unsigned cpu) {
  Mailbox* box = mailboxes_[cpu];
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (__atomic_load_n(&box->done, __ATOMIC_ACQUIRE) != box->request) {
    // The guest answers by a store, which wakes nobody: look again until it does, or ends.
    {
      MutexLock lock(&mu_);
      if (end_.has_value()) return false;
    }
    CHECK(std::chrono::steady_clock::now() < deadline) << "the guest neither answered nor ended";
    std::this_thread::yield();
  }
  return true;
}

std::optional<uint64_t> MicroMachine::Load(GuestPhysAddr at, unsigned width, unsigned cpu) {
  Mailbox* box = mailboxes_[cpu];
  box->operation = kMailboxLoad;
  box->address = at.raw();
  box->width = width;
  Ask(cpu);
  if (!AwaitAnswer(cpu)) return std::nullopt;
  return box->result;
}

bool MicroMachine::Store(GuestPhysAddr at, uint64_t value, unsigned width, unsigned cpu) {
  Mailbox* box = mailboxes_[cpu];
  box->operation = kMailboxStore;
  box->address = at.raw();
  box->width = width;
  box->value = value;
  Ask(cpu);
  return AwaitAnswer(cpu);
}

std::optional<uint64_t> MicroMachine::Sum(GuestPhysAddr at, ByteCount length, ByteCount stride, unsigned cpu) {
  Mailbox* box = mailboxes_[cpu];
  box->operation = kMailboxSum;
  box->address = at.raw();
  box->length = length.raw();
  box->value = stride.raw();
  Ask(cpu);
  if (!AwaitAnswer(cpu)) return std::nullopt;
  return box->result;
}

bool MicroMachine::StoreBy(MailboxStore instruction, GuestPhysAddr at, uint64_t value, unsigned cpu) {
  Mailbox* box = mailboxes_[cpu];
  box->operation = kMailboxStoreBy;
  box->address = at.raw();
  box->width = instruction;
  box->value = value;
  Ask(cpu);
  return AwaitAnswer(cpu);
}

void MicroMachine::StartCount(unsigned cpu, GuestPhysAddr at, uint64_t turns) {
  Mailbox* box = mailboxes_[cpu];
  box->operation = kMailboxCount;
  box->address = at.raw();
  box->value = turns;
  Ask(cpu);
}

std::optional<uint64_t> MicroMachine::FinishCount(unsigned cpu) {
  if (!AwaitAnswer(cpu)) return std::nullopt;
  return mailboxes_[cpu]->result;
}

bool MicroMachine::Answered(unsigned cpu) const {
  const Mailbox* box = mailboxes_[cpu];
  return __atomic_load_n(&box->done, __ATOMIC_ACQUIRE) == box->request;
}

bool MicroMachine::Call(GuestPhysAddr at, unsigned cpu) {
  Mailbox* box = mailboxes_[cpu];
  box->operation = kMailboxCall;
  box->address = at.raw();
  Ask(cpu);
  return AwaitAnswer(cpu);
}

void MicroMachine::StartWatch(unsigned cpu, GuestPhysAddr at, ByteCount length, ByteCount stride, uint64_t first,
                              uint64_t second) {
  Mailbox* box = mailboxes_[cpu];
  box->operation = kMailboxWatch;
  box->address = at.raw();
  box->length = length.raw();
  box->value = stride.raw();
  box->flag = 0;
  box->patterns[0] = first;
  box->patterns[1] = second;
  Ask(cpu);
}

std::optional<MicroMachine::WatchResult> MicroMachine::FinishWatch(unsigned cpu) {
  Mailbox* box = mailboxes_[cpu];
  box->flag = 1;
  if (!AwaitAnswer(cpu)) return std::nullopt;
  return WatchResult{box->result, box->mismatches, box->seen[0], box->seen[1]};
}

void GuestBus::Read(uint64_t offset, std::span<uint8_t> data) {
  const std::optional<uint64_t> value = machine_->Load(base_ + ByteCount(offset), static_cast<unsigned>(data.size()));
  CHECK(value.has_value()) << "the guest ended while it read a register: " << machine_->AwaitEnd()->message;
  std::memcpy(data.data(), &*value, data.size());
}

void GuestBus::Write(uint64_t offset, std::span<const uint8_t> data) {
  uint64_t value = 0;
  std::memcpy(&value, data.data(), data.size());
  CHECK(machine_->Store(base_ + ByteCount(offset), value, static_cast<unsigned>(data.size())))
      << "the guest ended while it wrote a register: " << machine_->AwaitEnd()->message;
}

}  // namespace daxvmm::microguest
