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
#include "vmm/guest_end.h"
#include "vmm/kvm/kvm.h"

namespace daxvmm::vmm {

// What a vCPU needs of the machine around it. Called on vCPU threads, several at once.
class VcpuEnvironment {
 public:
  virtual ~VcpuEnvironment() = default;
  // The guest stored to / loaded from an address that KVM cannot back and no device answers. True: the access was
  // dealt with (a dropped store to a read-only window) and the vCPU may go on.
  virtual bool HandleUnbackedAccess(GuestPhysAddr at, bool write) = 0;
  // What an operator should know when the guest touched a page that cannot be had: what lies at `at`, or, where KVM did
  // not say which page it was, which window mappings reach beyond their files. A clause; empty if nothing is known.
  virtual std::string DescribeUnusableMemory(std::optional<GuestPhysAddr> at) = 0;
  // The run is over. The first call counts. The vCPU that calls it stops running guest code at once.
  virtual void EndGuest(GuestEnd end) = 0;
  // This vCPU is about to enter the guest for the first time.
  virtual void FirstEntry(unsigned index) = 0;
};

class Vcpu {
 public:
  // `mmio`, `ports` and `environment` must outlive the vCPU, whose registers must be set.
  Vcpu(unsigned index, KvmVcpu kvm, const devices::Bus* mmio, const devices::Bus* ports, VcpuEnvironment* environment);
  ~Vcpu();

  // Starts the thread. INTERNAL or another code if KVM refuses the signal mask.
  absl::Status Start();
  // Makes the thread leave the guest and end; any thread, at any time after Start. Idempotent.
  void RequestStop();
  // Makes the thread log where the guest is (at level warning), then go on. Any thread, after Start.
  void RequestReport();
  // Waits until the thread has ended.
  void Join() { thread_.Join(); }

 private:
  void Loop();
  void Kick();
  void Report();
  // False: stop.
  bool HandleExit();
  void HandleIo();
  bool HandleMmio();
  // `detail` may be empty.
  void EndWithFault(const std::string& what, const std::string& detail = "");
  std::string Where();

  const unsigned index_;
  KvmVcpu kvm_;
  const devices::Bus* const mmio_;
  const devices::Bus* const ports_;
  VcpuEnvironment* const environment_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> report_{false};
  NamedThread thread_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_VCPU_H_
