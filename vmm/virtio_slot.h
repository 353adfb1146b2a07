// A virtio-mmio device's place in the machine: registers, interrupt line and kicks.
#ifndef DAXVMM_VMM_VIRTIO_SLOT_H_
#define DAXVMM_VMM_VIRTIO_SLOT_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/units.h"
#include "devices/bus.h"
#include "devices/virtio/interrupt_line.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/virtio_device.h"
#include "memory/guest_memory.h"
#include "vmm/kvm/kvm.h"

namespace daxvmm::vmm {

// An interrupt line driven by an eventfd, which KVM turns into an edge without an exit of its own.
class IrqFdLine final : public virtio::InterruptLine {
 public:
  explicit IrqFdLine(EventFd event) : event_(std::move(event)) {}
  void Pulse() override { event_.Signal(); }
  const EventFd& event() const { return event_; }

 private:
  EventFd event_;
};

// Owns the transport; the device is the caller's and goes after the slot. No vCPU may run when the slot goes.
class VirtioSlot {
 public:
  // Puts the registers of `device` at the place of slot `index` (below layout::kMaxVirtioDevices) on `mmio`, one page
  // each from layout::kVirtioMmioBase; each queue's kick becomes an ioeventfd and, if `with_irqchip`, the interrupt an
  // irqfd on layout::kFirstVirtioGsi + index.
  static absl::StatusOr<std::unique_ptr<VirtioSlot>> Create(unsigned index, virtio::VirtioDevice* device,
                                                            const memory::GuestMemory* memory, KvmVm* vm,
                                                            devices::Bus* mmio, bool with_irqchip = true);

  // Called when the device sets DEVICE_NEEDS_RESET: see virtio::TransportCore.
  void ObserveNeedsReset(std::function<void()> observer) { transport_->core().ObserveNeedsReset(std::move(observer)); }

  GuestPhysAddr base() const { return base_; }
  Gsi gsi() const { return gsi_; }

 private:
  VirtioSlot(GuestPhysAddr base, Gsi gsi, EventFd interrupt) : base_(base), gsi_(gsi), line_(std::move(interrupt)) {}

  const GuestPhysAddr base_;
  const Gsi gsi_;
  IrqFdLine line_;
  std::unique_ptr<virtio::MmioTransport> transport_;
};

}  // namespace daxvmm::vmm

#endif  // DAXVMM_VMM_VIRTIO_SLOT_H_
