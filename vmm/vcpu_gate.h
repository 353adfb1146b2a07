// Keeps vCPU threads out of the guest while the machine is paused, or has not started.
#ifndef DAXVMM_VMM_VCPU_GATE_H_
#define DAXVMM_VMM_VCPU_GATE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/mutex.h"

namespace daxvmm::vmm {

// What counts is whether a vCPU may run guest code: one that is in the middle of an exit (writes to a console that
// nobody reads, resets a device whose worker waits for a disk) is outside already, and cannot come in. So a machine can
// be paused whatever its devices wait for, and they finish what they have.
class VcpuGate {
 public:
  explicit VcpuGate(unsigned vcpus, bool open = true);
  VcpuGate(const VcpuGate&) = delete;
  VcpuGate& operator=(const VcpuGate&) = delete;

  // For each vCPU's thread.

  // Before KVM_RUN; false: the gate is closed. After true, Leave must follow.
  bool Enter(unsigned vcpu);
  void Leave(unsigned vcpu);
  // Waits until the gate may be open, or `interrupted` holds, which is asked again after each Nudge; under the gate's
  // lock, so it must not block.
  void AwaitOpen(absl::FunctionRef<bool()> interrupted);
  // How often the gate was closed, for a vCPU to see that it was kept from running.
  uint64_t closings() const { return closings_.load(std::memory_order_acquire); }

  // For whoever steers the vCPUs.

  // How to make the vCPU leave the guest; before its thread runs.
  void SetKick(unsigned vcpu, std::function<void()> kick);
  // Makes the vCPUs leave, and keeps them out. The vCPU that is still inside at the deadline, if any; the gate is
  // closed then too. Not two at once, and not while kicks go.
  std::optional<unsigned> Close(std::chrono::steady_clock::time_point deadline);
  // Lets them in. Any thread.
  void Open();
  // Lets those that wait look at what may interrupt them. Any thread.
  void Nudge();

 private:
  // A cache line each: written around every entry.
  struct alignas(64) Place {
    std::atomic<bool> inside{false};
    std::function<void()> kick;
  };

  std::optional<unsigned> FirstInside() const;

  std::vector<Place> places_;
  // A vCPU says that it is inside and then looks here; Close sets it and then looks who is inside. Hence both are
  // sequentially consistent: one of the two sees the other. Written with mu_ held.
  std::atomic<bool> closed_;
  std::atomic<uint64_t> closings_{0};
  Mutex mu_;
  CondVar changed_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_VCPU_GATE_H_
