// A machine with nothing but vCPUs, memory, a DAX window and a memory-mapped bus, whose guest program does what the
// test tells it to. The KVM wrappers, the vCPU loop, the window guard and the virtio-mmio wiring are the product's own.
#ifndef DAXVMM_TESTS_MICROGUEST_MICRO_MACHINE_H_
#define DAXVMM_TESTS_MICROGUEST_MICRO_MACHINE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "base/units.h"
#include "devices/bus.h"
#include "memory/mapping_window.h"
#include "tests/fakes/guest_ram.h"
#include "tests/microguest/mailbox.h"
#include "vmm/guest_end.h"
#include "vmm/kvm/kvm.h"
#include "vmm/vcpu.h"
#include "vmm/vcpu_gate.h"
#include "vmm/window_guard.h"

namespace daxvmm::microguest {

struct MicroMachineOptions {
  unsigned cpus = 1;
  // With it, KVM may treat a page fault as asynchronous: what a real machine has.
  bool irqchip = true;
  // The payload in supervisor mode, which a software KVM emulates: unreachable pages come as accesses to MMIO there.
  bool supervisor = false;
  ByteCount window = MiB(16);
  bool window_read_only = false;
};

inline constexpr std::chrono::seconds kDeadline{60};

class MicroMachine final : public vmm::VcpuEnvironment {
 public:
  // Loads the payload and builds everything; no vCPU runs yet. UNAVAILABLE where there is no usable /dev/kvm.
  static absl::StatusOr<std::unique_ptr<MicroMachine>> Create(const MicroMachineOptions& options);
  ~MicroMachine() override;

  // To attach devices before Start.
  vmm::KvmVm& vm() { return vm_; }
  devices::Bus& mmio() { return mmio_; }
  fakes::GuestRam& ram() { return *ram_; }
  memory::MappingWindow& window() { return window_; }
  vmm::WindowGuard& guard() { return guard_; }
  // Open from the start.
  vmm::VcpuGate& gate() { return gate_; }

  absl::Status Start();
  // Ends the vCPUs for good; what they use may go afterwards.
  void Halt();

  // One access by the guest's vCPU; nullopt if the guest ended instead.
  std::optional<uint64_t> Load(GuestPhysAddr at, unsigned width = 8, unsigned cpu = 0);
  bool Store(GuestPhysAddr at, uint64_t value, unsigned width = 8, unsigned cpu = 0);
  std::optional<uint64_t> Sum(GuestPhysAddr at, ByteCount length, ByteCount stride, unsigned cpu = 0);

  // One store of 8 bytes by an instruction of the test's choice; false if the guest ended instead.
  bool StoreBy(MailboxStore instruction, GuestPhysAddr at, uint64_t value, unsigned cpu = 0);
  // Runs guest code at `at` until it returns.
  bool Call(GuestPhysAddr at, unsigned cpu = 0);
  // `turns` stores and loads of a byte that run while the test does other things (kMailboxCount); FinishCount waits for
  // the last and gives the loads that did not see the store before them.
  void StartCount(unsigned cpu, GuestPhysAddr at, uint64_t turns);
  std::optional<uint64_t> FinishCount(unsigned cpu);
  // Whether the guest has answered what it was asked last.
  bool Answered(unsigned cpu) const;

  // A loop of loads that runs while the test does other things (kMailboxWatch).
  struct WatchResult {
    uint64_t passes, mismatches, first, second;
  };
  void StartWatch(unsigned cpu, GuestPhysAddr at, ByteCount length, ByteCount stride, uint64_t first, uint64_t second);
  std::optional<WatchResult> FinishWatch(unsigned cpu);

  // Waits for the guest to end; nullopt if it did not within kDeadline.
  std::optional<vmm::GuestEnd> AwaitEnd();

 private:
  MicroMachine(const MicroMachineOptions& options, vmm::KvmVm vm, memory::MappingWindow window);
  absl::Status Build(const vmm::KvmSystem& kvm);
  absl::Status LoadPayload();
  absl::Status BuildPageTables();
  absl::StatusOr<vmm::KvmVcpu> MakeVcpu(const vmm::KvmSystem& kvm, unsigned index);
  // Starts what the mailbox holds; false if the guest ended before it answered.
  void Ask(unsigned cpu);
  bool AwaitAnswer(unsigned cpu);

  void EndGuest(vmm::GuestEnd end) override;
  void FirstEntry(unsigned) override {}

  const MicroMachineOptions options_;
  vmm::KvmVm vm_;
  memory::MappingWindow window_;
  std::unique_ptr<fakes::GuestRam> ram_;
  devices::Bus mmio_;
  devices::Bus ports_;
  vmm::WindowGuard guard_;
  vmm::VcpuGate gate_;
  GuestPhysAddr payload_;
  GuestPhysAddr page_tables_;
  std::vector<GuestPhysAddr> mailbox_at_;
  std::vector<Mailbox*> mailboxes_;

  Mutex mu_;
  CondVar ended_;
  std::optional<vmm::GuestEnd> end_ ABSL_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<vmm::Vcpu>> vcpus_;  // last: they stop before what they use goes
};

// Registers reached by the guest's loads and stores: the driver fake on top of it drives a device through real exits.
class GuestBus final : public devices::BusDevice {
 public:
  GuestBus(MicroMachine* machine, GuestPhysAddr base) : machine_(machine), base_(base) {}
  void Read(uint64_t offset, std::span<uint8_t> data) override;
  void Write(uint64_t offset, std::span<const uint8_t> data) override;

 private:
  MicroMachine* const machine_;
  const GuestPhysAddr base_;
};

}  // namespace daxvmm::microguest

#endif  // DAXVMM_TESTS_MICROGUEST_MICRO_MACHINE_H_
