// A virtual CPU: its thread and its run loop.
#ifndef DAXVMM_VMM_VCPU_H_
#define DAXVMM_VMM_VCPU_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/named_thread.h"
#include "base/units.h"
#include "devices/bus.h"
#include "memory/guest_memory.h"
#include "vmm/fault_mender.h"
#include "vmm/guest_end.h"
#include "vmm/kvm/kvm.h"
#include "vmm/vcpu_counts.h"
#include "vmm/vcpu_gate.h"
#include "vmm/window_guard.h"

namespace daxvmm::vmm {

// What a vCPU needs of the machine around it. Called on vCPU threads, several at once.
class VcpuEnvironment {
 public:
  virtual ~VcpuEnvironment() = default;
  // The run is over. The first call counts. The vCPU that calls it stops running guest code at once.
  virtual void EndGuest(GuestEnd end) = 0;
  // This vCPU is about to enter the guest for the first time.
  virtual void FirstEntry(unsigned index) = 0;
};

// What the guest's accesses meet. All of it outlives the vCPUs, which share it.
struct VcpuBuses {
  const devices::Bus* mmio = nullptr;
  const devices::Bus* ports = nullptr;
  const memory::GuestMemory* memory = nullptr;  // to read the instruction of a vCPU that could not reach a page
  WindowGuard* guard = nullptr;                 // decides on accesses that nothing else answers
};

class Vcpu {
 public:
  // The vCPU's registers must be set. `gate`, which has a place for `index`, and `environment` outlive it.
  Vcpu(unsigned index, KvmVcpu kvm, const VcpuBuses& buses, VcpuGate* gate, VcpuEnvironment* environment);
  ~Vcpu();

  // Starts the thread, which enters the guest as the gate allows. INTERNAL or another code if KVM refuses the signal
  // mask.
  absl::Status Start();
  // Makes the thread leave the guest and end; any thread, at any time after Start. Idempotent.
  void RequestStop();
  // Makes the thread log where the guest is (at level warning), then go on, or wait on. Any thread, after Start.
  void RequestReport();
  // Waits until the thread has ended.
  void Join() { thread_.Join(); }
  // Any thread.
  const VcpuCounts& counts() const { return counts_; }

 private:
  void Loop();
  void Kick();
  void Report();
  // One run of guest code, inside the gate: what KVM_RUN gave.
  int RunGuest();
  // False: stop.
  bool HandleExit();
  void HandleIo();
  bool HandleMmio();
  // KVM could not reach a page that the guest touched.
  bool HandleUnreachablePage();
  // nullopt: enter again. Else why the guest cannot go on; see FaultMender.
  std::optional<std::string> MendTouchedPages();
  // `detail` may be empty.
  void EndWithFault(const std::string& what, const std::string& detail = "");
  std::string Where();

  const unsigned index_;
  KvmVcpu kvm_;
  const VcpuBuses buses_;
  VcpuGate* const gate_;
  VcpuEnvironment* const environment_;
  FaultMender mender_;
  VcpuCounts counts_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> report_{false};
  // Of the thread alone:
  bool entered_ = false;        // the guest has run
  uint64_t closings_seen_ = 0;  // of the gate
  NamedThread thread_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_VCPU_H_
