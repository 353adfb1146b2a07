#include "vmm/vcpu_gate.h"

#include <utility>

namespace daxvmm::vmm {

VcpuGate::VcpuGate(unsigned vcpus, bool open) : places_(vcpus), closed_(!open) {}

bool VcpuGate::Enter(unsigned vcpu) {
  places_[vcpu].inside.store(true, std::memory_order_seq_cst);
  if (!closed_.load(std::memory_order_seq_cst)) return true;
  Leave(vcpu);
  return false;
}

void VcpuGate::Leave(unsigned vcpu) {
  places_[vcpu].inside.store(false, std::memory_order_seq_cst);
  if (closed_.load(std::memory_order_seq_cst)) Nudge();
}

void VcpuGate::AwaitOpen(absl::FunctionRef<bool()> interrupted) {
  MutexLock lock(&mu_);
  while (closed_.load(std::memory_order_relaxed) && !interrupted()) changed_.Wait(&mu_);
}

void VcpuGate::SetKick(unsigned vcpu, std::function<void()> kick) { places_[vcpu].kick = std::move(kick); }

std::optional<unsigned> VcpuGate::FirstInside() const {
  for (unsigned i = 0; i < places_.size(); ++i) {
    if (places_[i].inside.load(std::memory_order_seq_cst)) return i;
  }
  return std::nullopt;
}

std::optional<unsigned> VcpuGate::Close(std::chrono::steady_clock::time_point deadline) {
  {
    MutexLock lock(&mu_);
    closings_.fetch_add(1, std::memory_order_acq_rel);
    closed_.store(true, std::memory_order_seq_cst);
  }
  for (const Place& place : places_) {
    if (place.inside.load(std::memory_order_seq_cst) && place.kick) place.kick();
  }
  MutexLock lock(&mu_);
  for (;;) {
    const std::optional<unsigned> inside = FirstInside();
    if (!inside.has_value() || !changed_.WaitUntil(&mu_, deadline)) return FirstInside();
  }
}

void VcpuGate::Open() {
  MutexLock lock(&mu_);
  closed_.store(false, std::memory_order_seq_cst);
  changed_.SignalAll();
}

void VcpuGate::Nudge() {
  MutexLock lock(&mu_);
  changed_.SignalAll();
}

}  // namespace daxvmm::vmm
