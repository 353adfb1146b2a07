#include "vmm/virtio_slot.h"

#include <utility>

#include "base/status.h"
#include "vmm/layout.h"

namespace daxvmm::vmm {

absl::StatusOr<std::unique_ptr<VirtioSlot>> VirtioSlot::Create(unsigned index, virtio::VirtioDevice* device,
                                                               const memory::GuestMemory* memory, KvmVm* vm,
                                                               devices::Bus* mmio, bool with_irqchip) {
  const GuestPhysAddr base = layout::kVirtioMmioBase + ByteCount(index * layout::kVirtioMmioSize.raw());
  const Gsi gsi(layout::kFirstVirtioGsi.raw() + index);
  ASSIGN_OR_RETURN(EventFd interrupt, EventFd::Create());
  std::unique_ptr<VirtioSlot> slot(new VirtioSlot(base, gsi, std::move(interrupt)));
  ASSIGN_OR_RETURN(slot->transport_, virtio::MmioTransport::Create(device, memory, &slot->line_));
  if (with_irqchip) RETURN_IF_ERROR(vm->AddIrqFd(slot->line_.event(), gsi));
  for (uint16_t queue = 0; queue < slot->transport_->queue_count(); ++queue) {
    RETURN_IF_ERROR(vm->AddIoEventFd(slot->transport_->kick(QueueIndex(queue)),
                                     base + ByteCount(virtio::MmioTransport::kQueueNotifyOffset), queue));
  }
  RETURN_IF_ERROR(mmio->Attach(base.raw(), layout::kVirtioMmioSize.raw(), slot->transport_.get()));
  return slot;
}

}  // namespace daxvmm::vmm
