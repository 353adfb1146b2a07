// A microVM: the composition root. Builds memory, devices, tables and vCPUs from a MachineConfig, runs them, and
// answers the control plane.
//
// A library: installs no signal handler and touches no terminal. Log lines go to standard error until the embedder
// takes them over (base/log.h). The embedder brings the console's two ends and decides what ends the machine.
#ifndef DAXVMM_VMM_MACHINE_H_
#define DAXVMM_VMM_MACHINE_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "control/controller.h"
#include "devices/bus.h"
#include "devices/platform/acpi_pm.h"
#include "devices/platform/pvpanic.h"
#include "devices/serial/uart16550.h"
#include "devices/virtio_fs/dax/policy_store.h"
#include "devices/virtio_fs/virtio_fs_device.h"
#include "memory/guest_memory.h"
#include "memory/mapping.h"
#include "memory/mapping_window.h"
#include "vmm/config.h"
#include "vmm/guest_end.h"
#include "vmm/kvm/kvm.h"
#include "vmm/memory_plan.h"
#include "vmm/orderly_shutdown.h"
#include "vmm/override_expiry.h"
#include "vmm/policy_keeper.h"
#include "vmm/vcpu.h"
#include "vmm/vcpu_gate.h"
#include "vmm/virtio_slot.h"
#include "vmm/window_guard.h"

namespace daxvmm::vmm {

// The serial console, as the embedder sees it.
struct ConsoleHooks {
  // The guest wrote: on a vCPU thread; may block, which slows that vCPU down.
  std::function<void(std::span<const uint8_t>)> output;
  // There is room again after ConsoleInput took less than it was given: on a vCPU thread; must not block.
  std::function<void()> input_room;
};

class Machine final : public control::Controller, private VcpuEnvironment {
 public:
  // Builds everything up to the first instruction; nothing runs yet. An error's message begins with the field at fault
  // as the command line spells it ("kernel: ...", "share: tag 'x': ..."), or with the path of the KVM device.
  static absl::StatusOr<std::unique_ptr<Machine>> Create(const MachineConfig& config, ConsoleHooks console);
  // Halts; then stops the devices' workers, then frees devices and memory.
  ~Machine() override;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // kWait: no vCPU runs guest code before StartMachine; the rest is as of a machine that runs.
  enum class StartMode { kRun, kWait };
  // Starts the vCPUs' threads. Once, and before anybody else calls the machine.
  absl::Status Start(StartMode mode = StartMode::kRun);
  // Ends the vCPU threads for good and waits for them, paused or not: no hook is called afterwards. Not from a hook.
  // Idempotent.
  void Halt();

  // Signalled when the first vCPU is about to run guest code; the control plane is started then, so that it does not
  // delay the guest. One that is to start the machine has to be started before.
  const EventFd& first_entry_event() const { return first_entry_; }
  // Signalled when the guest has ended; end() then has a value.
  const EventFd& end_event() const { return end_event_; }
  std::optional<GuestEnd> end() const;

  // Any thread, once started:
  // Presses the power button, which a guest with an ACPI button driver and someone who listens takes as a wish to
  // power off. ShutdownMachine does it as long as it takes.
  void PressPowerButton() { power_button_.Signal(); }
  // Ends the guest as it stands, paused or not.
  void Stop(const std::string& why) { EndGuest({GuestEndKind::kStopped, why}); }
  // Logs where each vCPU is, for a guest that hangs.
  void ReportVcpus();
  // Takes what fits the serial port's receiver; how much that was.
  size_t ConsoleInput(std::span<const uint8_t> bytes) { return uart_.EnqueueInput(bytes); }

  // control::Controller
  control::PolicyState GetPolicy() const override;
  absl::StatusOr<control::PolicyChange> SetPolicy(const dax::Policy& policy,
                                                  const control::PolicySetOptions& options) override;
  absl::StatusOr<control::PolicyChange> SetOverride(const dax::Override& override,
                                                    const control::PolicySetOptions& options) override;
  absl::StatusOr<control::PolicyChange> ClearOverride(const control::FileRef& file,
                                                      const control::PolicySetOptions& options) override;
  std::vector<dax::PolicyHistoryEntry> PolicyHistory() const override;
  absl::StatusOr<control::Explanation> Explain(const control::FileRef& file) const override;
  absl::StatusOr<std::vector<control::LiveFile>> ListFiles(const std::string& share_tag) const override;
  absl::StatusOr<control::FilePage> QueryFiles(const control::FileQuery& query) const override;
  absl::StatusOr<control::ConvergenceCounts> GetConvergence(const std::string& share_tag) const override;
  absl::StatusOr<std::vector<control::WindowUse>> GetWindows(const std::string& share_tag) const override;
  absl::StatusOr<control::PolicyPreview> PreviewPolicy(const dax::Policy& policy,
                                                       const control::PolicySetOptions& options,
                                                       size_t limit) const override;
  absl::StatusOr<control::MappingPage> QueryMappings(const control::MappingQuery& query) const override;
  control::MachineInfo GetMachine() const override;
  absl::Status StartMachine() override;
  absl::Status PauseMachine() override;
  absl::Status ResumeMachine() override;
  absl::StatusOr<absl::Time> ShutdownMachine(const control::ShutdownOptions& options) override;
  control::MetricsSnapshot GetMetrics() const override;
  void SetCallCounts(const control::ControlCallCounts* counts) override;
  control::AuditLog* audit_log() override { return keeper_->audit_log(); }
  control::EventLog& events() override { return events_; }
  control::ConsoleLog& console() override { return console_; }

  // A watched policy file, of which somebody else tells (control/policy_file_watch.h). Any thread.
  // The policy is that of the file, before the rules of shares are put in front of it. Wins over whatever is in force.
  // INVALID_ARGUMENT if both together are no valid policy.
  absl::StatusOr<control::PolicyChange> SetPolicyFromFile(const dax::Policy& policy);
  // Why the file's present content is not in force; OK: it is.
  void ReportPolicyFile(const absl::Status& error);

 private:
  struct Share {
    memory::MappingWindow* window = nullptr;  // null: none
    std::unique_ptr<virtio_fs::VirtioFsDevice> device;
    std::unique_ptr<VirtioSlot> slot;  // goes before the device
  };

  Machine(const MachineConfig& config, ConsoleHooks console, KvmVm vm, std::unique_ptr<PolicyKeeper> keeper,
          EventFd first_entry, EventFd end_event, EventFd power_button, EventFd serial_interrupt);
  absl::Status Build(const KvmSystem& kvm);
  absl::Status BuildMemory(std::span<const kvm_cpuid_entry2> cpuid);
  absl::Status BuildPlatform();
  absl::Status BuildShares();
  absl::Status BuildVcpus(const KvmSystem& kvm, std::span<const kvm_cpuid_entry2> cpuid);
  // The shares of a tag, or all for an empty one; NOT_FOUND for an unknown one.
  absl::StatusOr<std::vector<const Share*>> SelectShares(const std::string& tag) const;
  absl::StatusOr<std::vector<const virtio_fs::VirtioFsDevice*>> SelectDevices(const std::string& tag) const;
  control::WindowUse UseOf(const Share& share) const;
  static dax::PolicyStore::SetOptions ToStore(const control::PolicySetOptions& options);
  control::MachineState StateLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Nothing happens to a machine that is not paused.
  void ResumeLocked(const std::string& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForceEnd(std::chrono::nanoseconds timeout);
  // What makes events of what happens to the policy and in a share's devices.
  void ObservePolicy();
  virtio_fs::VirtioFsOptions::Observer ObserveWindow(const std::string& tag);
  std::function<void()> ObserveNeedsReset(const std::string& tag);
  // With the bound that the shares' time-outs set.
  absl::StatusOr<control::PolicyChange> ToChange(const absl::StatusOr<uint64_t>& generation) const;

  // VcpuEnvironment
  void EndGuest(GuestEnd end) override;
  void FirstEntry(unsigned index) override;

  // In the order of construction; destruction is the reverse, after ~Machine has stopped the vCPUs: vCPUs, shares
  // (transport, then device with its workers), platform devices, memory, and last the virtual machine.
  const MachineConfig config_;
  const std::unique_ptr<PolicyKeeper> keeper_;
  control::EventLog events_;
  control::ConsoleLog console_;
  dax::PolicyStore policy_;
  OverrideExpiry override_expiry_{&policy_};
  const EventFd first_entry_;
  const EventFd end_event_;
  const EventFd power_button_;
  const EventFd serial_interrupt_;
  const absl::Time created_;
  VcpuGate gate_;
  // Who starts, pauses, resumes and halts waits for each other; taken before mu_, and held while a pause waits.
  Mutex run_mu_;
  bool threads_made_ ABSL_GUARDED_BY(run_mu_) = false;
  mutable Mutex mu_;
  std::optional<absl::Time> started_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Time> force_at_ ABSL_GUARDED_BY(mu_);  // once a shutdown was asked for
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  bool halted_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<GuestEnd> end_ ABSL_GUARDED_BY(mu_);
  std::optional<control::PolicyFileError> policy_file_error_ ABSL_GUARDED_BY(mu_);
  mutable Mutex call_counts_mu_;  // held while those who count are asked
  const control::ControlCallCounts* call_counts_ ABSL_GUARDED_BY(call_counts_mu_) = nullptr;
  std::string policy_file_refusal_ ABSL_GUARDED_BY(mu_);  // what SetPolicyFromFile answered last; "": OK
  OrderlyShutdown shutdown_{{.press = [this] { PressPowerButton(); },
                             .force = [this](std::chrono::nanoseconds timeout) { ForceEnd(timeout); }}};

  KvmVm vm_;
  MemoryPlan plan_;
  std::vector<memory::Mapping> ram_;
  std::vector<std::unique_ptr<memory::MappingWindow>> windows_;  // one per share; null: none
  std::optional<memory::GuestMemory> memory_;
  WindowGuard guard_;
  devices::Bus ports_;
  devices::Bus mmio_;
  devices::Uart16550 uart_;
  devices::AcpiPm acpi_pm_;
  devices::Pvpanic pvpanic_;
  std::vector<Share> shares_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_MACHINE_H_
