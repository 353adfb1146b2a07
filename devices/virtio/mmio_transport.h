// The registers of virtio over MMIO, version 2 (virtio 1.2, 4.2.2), on top of TransportCore.
#ifndef DAXVMM_DEVICES_VIRTIO_MMIO_TRANSPORT_H_
#define DAXVMM_DEVICES_VIRTIO_MMIO_TRANSPORT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "base/event_fd.h"
#include "base/units.h"
#include "devices/bus.h"
#include "devices/virtio/interrupt_line.h"
#include "devices/virtio/transport_core.h"
#include "devices/virtio/virtio_device.h"
#include "memory/guest_memory.h"

namespace daxvmm::virtio {

// Registers are accessed as aligned 32-bit words (4.2.2.2), the configuration space at 0x100 in any width. Other
// accesses read as zero or are dropped. The configuration space takes no writes.
//
// The range may be attached with any size that holds the device's configuration space; a page is usual.
class MmioTransport : public devices::BusDevice {
 public:
  // Where a driver writes the index of the queue that it kicks: as an ioeventfd, 4 bytes with the index as datamatch.
  static constexpr uint64_t kQueueNotifyOffset = 0x50;
  static constexpr uint32_t kQueueNotifySize = 4;

  // As TransportCore::Create.
  static absl::StatusOr<std::unique_ptr<MmioTransport>> Create(VirtioDevice* device, const memory::GuestMemory* memory,
                                                               InterruptLine* interrupt);

  // For ioeventfds; constant.
  uint16_t queue_count() const { return core_->queue_count(); }
  const EventFd& kick(QueueIndex queue) const { return core_->kick(queue); }

  TransportCore& core() { return *core_; }

  void Read(uint64_t offset, std::span<uint8_t> data) override;
  void Write(uint64_t offset, std::span<const uint8_t> data) override;

 private:
  explicit MmioTransport(std::unique_ptr<TransportCore> core) : core_(std::move(core)) {}
  uint32_t ReadRegister(uint32_t offset) const;
  void WriteRegister(uint32_t offset, uint32_t value);

  const std::unique_ptr<TransportCore> core_;
  std::atomic<uint32_t> shared_memory_select_{0};
};

}  // namespace daxvmm::virtio

#endif  // DAXVMM_DEVICES_VIRTIO_MMIO_TRANSPORT_H_
