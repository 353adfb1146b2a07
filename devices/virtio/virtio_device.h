// What a virtio device is to a transport, and what a transport is to it (virtio 1.2, chapter 2). A device knows nothing
// of registers; a transport knows nothing of what the device does.
#ifndef DAXVMM_DEVICES_VIRTIO_VIRTIO_DEVICE_H_
#define DAXVMM_DEVICES_VIRTIO_VIRTIO_DEVICE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "base/event_fd.h"
#include "base/units.h"
#include "devices/virtio/virtqueue.h"
#include "memory/guest_memory.h"

namespace daxvmm::virtio {

// How a device reaches the driver. Any thread may call it. The transport outlives the device's activation.
class DriverNotifier {
 public:
  virtual ~DriverNotifier() = default;
  // A used buffer was added (virtio 1.2, 2.3): raises the queue interrupt.
  virtual void SignalUsed(QueueIndex queue) = 0;
  // Sets DEVICE_NEEDS_RESET and raises the configuration interrupt (virtio 1.2, 2.1.2): the driver broke the ring.
  // Idempotent.
  virtual void SignalNeedsReset() = 0;
};

// A queue that the driver enabled, and the eventfd that its kicks arrive on.
struct ActiveQueue {
  QueueIndex index;
  std::unique_ptr<Virtqueue> queue;
  const EventFd* kick = nullptr;  // owned by the transport
};

// A shared-memory region (virtio 1.2, 2.10); for virtio-fs, id 0 is the DAX window (5.11.7.1).
struct SharedMemoryRegion {
  uint8_t id = 0;
  GuestPhysAddr base;
  ByteCount size;
};

class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;

  virtual uint32_t device_id() const = 0;
  // The device's own feature bits; the transport adds VERSION_1, INDIRECT_DESC and EVENT_IDX.
  virtual uint64_t device_features() const = 0;
  virtual uint16_t queue_count() const = 0;
  // The largest ring that the driver may choose: a power of two.
  virtual uint16_t queue_size_max() const = 0;
  virtual std::optional<SharedMemoryRegion> shared_memory(uint8_t id) const = 0;
  // Fills `data` from the device's configuration space; bytes past its end read as zero.
  virtual void ReadConfig(uint64_t offset, std::span<uint8_t> data) const = 0;

  // The driver set DRIVER_OK: `queues` are those that it enabled, in order of index. Called on a vCPU thread with the
  // transport's lock held. On an error the transport sets DEVICE_NEEDS_RESET.
  virtual absl::Status Activate(std::vector<ActiveQueue> queues, DriverNotifier* notifier) = 0;

  // The driver wrote 0 to the status: no request is in flight, and no queue is touched, when this returns (virtio-mmio
  // drivers do not poll). Also called before destruction. Idempotent.
  virtual void Reset() = 0;
};

}  // namespace daxvmm::virtio

#endif  // DAXVMM_DEVICES_VIRTIO_VIRTIO_DEVICE_H_
