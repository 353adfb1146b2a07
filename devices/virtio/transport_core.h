// What every virtio transport does, whatever its registers look like (virtio 1.2, chapters 2 and 3): status and feature
// negotiation, queue configuration, shared-memory look-up, activation, reset and notifications both ways.
//
// Threads. The driver's accesses come on vCPU threads, several at once, and are serialised by one mutex, which is held
// while the device activates and resets. SignalUsed and SignalNeedsReset come from the device's workers, for which
// Reset waits: they take no lock. What they share with the driver's side is two atomics, the status and the pending
// interrupts; all accesses to them are sequentially consistent.
#ifndef DAXVMM_DEVICES_VIRTIO_TRANSPORT_CORE_H_
#define DAXVMM_DEVICES_VIRTIO_TRANSPORT_CORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_fd.h"
#include "base/mutex.h"
#include "base/units.h"
#include "devices/virtio/interrupt_line.h"
#include "devices/virtio/virtio_device.h"
#include "memory/guest_memory.h"

namespace daxvmm::virtio {

// The pending interrupts, as in the ISR status of 4.1.4.5 and the InterruptStatus of 4.2.2.
inline constexpr uint32_t kInterruptUsed = 1;
inline constexpr uint32_t kInterruptConfig = 2;

// The three parts of a queue.
enum class QueuePart { kDescriptors, kDriverArea, kDeviceArea };

class TransportCore : public DriverNotifier {
 public:
  // All three must outlive the transport. INVALID_ARGUMENT if the device's largest queue is not a power of two up to
  // 32768; or no eventfd could be made.
  static absl::StatusOr<std::unique_ptr<TransportCore>> Create(VirtioDevice* device, const memory::GuestMemory* memory,
                                                               InterruptLine* interrupt);
  // Resets the device. The vCPUs must have stopped.
  ~TransportCore() override;

  // Constant facts; any thread.
  uint32_t device_id() const { return device_->device_id(); }
  uint16_t queue_count() const { return static_cast<uint16_t>(kicks_.size()); }
  // Where kicks of this queue arrive, from KVM or from Notify. The queue must exist.
  const EventFd& kick(QueueIndex queue) const { return kicks_[queue.raw()]; }

  // Device status (2.1). Writing 0 resets: when SetStatus returns no queue is touched any more. Bits can only be added
  // otherwise; what comes out of order is not taken over, nor is FEATURES_OK if the features are unacceptable (2.2.2),
  // and the driver sees that by reading.
  uint32_t status() const { return status_.load(); }
  void SetStatus(uint32_t value);

  // Feature bits, 32 at a time (4.2.2). Windows beyond 1 hold nothing. What the driver accepts can be changed up to
  // FEATURES_OK.
  void SelectDeviceFeatures(uint32_t window);
  uint32_t DeviceFeatures() const;
  void SelectDriverFeatures(uint32_t window);
  void SetDriverFeatures(uint32_t bits);

  // The selected queue. If it does not exist, everything reads as 0 and writes are dropped. A queue that is ready
  // cannot be changed (4.2.2.2); nothing can after DRIVER_OK.
  void SelectQueue(uint32_t index);
  uint16_t QueueSizeMax() const;
  void SetQueueSize(uint32_t size);
  void SetQueueAddressLow(QueuePart part, uint32_t low);
  void SetQueueAddressHigh(QueuePart part, uint32_t high);
  // Taking readiness away from a queue in use stops the whole device, which then needs a reset: devices here have no
  // means to stop one queue, and the driver may reuse the ring's memory at once.
  void SetQueueReady(bool ready);
  bool QueueReady() const;

  // The driver kicks; dropped if there is no such queue. Any thread, no lock.
  void Notify(uint32_t queue) const;

  // nullopt if the device has no such region.
  std::optional<SharedMemoryRegion> SharedMemory(uint32_t id) const;

  void ReadConfig(uint64_t offset, std::span<uint8_t> data) const { device_->ReadConfig(offset, data); }
  // The configuration of a device never changes while it lives, so neither does its generation (2.5.1).
  uint32_t config_generation() const { return 0; }

  // kInterrupt* bits; any thread, no lock.
  uint32_t pending_interrupts() const { return interrupts_.load(); }
  void AcknowledgeInterrupts(uint32_t bits) { interrupts_.fetch_and(~bits); }

  // Called each time that DEVICE_NEEDS_RESET becomes set: by workers and vCPUs, under no lock or under the transport's;
  // must not block, nor call back. Before the driver may touch the device.
  void ObserveNeedsReset(std::function<void()> observer) { needs_reset_observer_ = std::move(observer); }

  // DriverNotifier.
  void SignalUsed(QueueIndex queue) override;
  void SignalNeedsReset() override;

 private:
  struct QueueSetup {
    uint32_t size = 0;
    uint64_t descriptors = 0;
    uint64_t driver_area = 0;
    uint64_t device_area = 0;
    bool ready = false;
  };

  TransportCore(VirtioDevice* device, const memory::GuestMemory* memory, InterruptLine* interrupt,
                std::vector<EventFd> kicks);
  void ResetLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool FeaturesAcceptable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Activate() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The selected queue if it may be changed, else nullptr.
  QueueSetup* Configurable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Changes one half of an address of the selected queue.
  void ChangeAddress(QueuePart part, uint64_t keep, uint64_t set);
  bool InStatus(uint32_t bit) const { return (status_.load() & bit) != 0; }
  void Raise(uint32_t bits);

  VirtioDevice* const device_;
  const memory::GuestMemory* const memory_;
  InterruptLine* const interrupt_;
  const uint64_t offered_;
  const std::vector<EventFd> kicks_;
  std::function<void()> needs_reset_observer_;

  std::atomic<uint32_t> status_{0};  // driver's bits change under mu_ only; DEVICE_NEEDS_RESET is set by anyone
  std::atomic<uint32_t> interrupts_{0};

  mutable Mutex mu_;
  uint32_t device_features_window_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t driver_features_window_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t accepted_ ABSL_GUARDED_BY(mu_) = 0;
  bool accepted_beyond_ ABSL_GUARDED_BY(mu_) = false;  // some bit of 64 and above, which nobody offers
  uint32_t selected_queue_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<QueueSetup> queues_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::virtio

#endif  // DAXVMM_DEVICES_VIRTIO_TRANSPORT_CORE_H_
