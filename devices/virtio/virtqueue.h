// The device side of a split virtqueue (virtio 1.2, 2.7) with indirect descriptors and EVENT_IDX.
//
// Every index, address and length in a ring is the driver's word and is checked here, once, on a copy. What breaks the
// rules is a QueueFault: the queue must not be used again until the device is reset.
#ifndef DAXVMM_DEVICES_VIRTIO_VIRTQUEUE_H_
#define DAXVMM_DEVICES_VIRTIO_VIRTQUEUE_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"
#include "devices/virtio/ring_abi.h"
#include "memory/guest_memory.h"

namespace daxvmm::virtio {

// How the driver broke the ring.
enum class QueueFault {
  kNone,
  kAvailIndexJump,          // more new entries than the ring holds
  kHeadOutOfRange,          // an available head or a `next` beyond the table
  kChainTooLong,            // a loop, or more descriptors than the ring's size
  kBadIndirect,             // nested, empty, not a multiple of 16 bytes, or combined with NEXT
  kWritableBeforeReadable,  // a device-readable descriptor after a device-writable one (2.7.4.2)
  kBadAddress,              // a buffer or table outside guest memory, or read-only where the device writes
  kTooManyBytes,            // a chain of more than 4 GiB
};
absl::string_view QueueFaultName(QueueFault fault);

// One request. Reused from Pop to Pop to save allocations. Move-only in spirit: it stands for a head that must be
// given back by Push exactly once.
struct DescriptorChain {
  uint16_t head = 0;
  memory::IoVecs readable;  // driver to device
  memory::IoVecs writable;  // device to driver
};

struct VirtqueueConfig {
  uint16_t size = 0;  // entries; a power of two
  GuestPhysAddr descriptors;
  GuestPhysAddr driver_area;  // available ring
  GuestPhysAddr device_area;  // used ring
  bool event_idx = false;     // VIRTIO_F_EVENT_IDX was negotiated
  bool indirect = false;      // VIRTIO_F_INDIRECT_DESC was negotiated
};

// Used by one thread, the queue's owner. Starts with kicks enabled; chains may be waiting that no kick announces.
class Virtqueue {
 public:
  // INVALID_ARGUMENT if the size is not a power of two up to 32768, or a part is misaligned (2.7) or not in RAM.
  static absl::StatusOr<std::unique_ptr<Virtqueue>> Create(const VirtqueueConfig& config,
                                                           const memory::GuestMemory* memory);

  // Takes the next available chain. False if there is none, or if the ring is broken: see fault().
  bool Pop(DescriptorChain* chain);
  // How many chains the driver has made available that were not taken, by its own word.
  uint16_t Waiting() const { return static_cast<uint16_t>(LoadAvailIndex() - next_avail_); }
  // Gives a chain back with the number of bytes written to its writable part (2.7.8).
  void Push(const DescriptorChain& chain, uint32_t bytes_written);
  // Whether the driver wants an interrupt for what was pushed since the last call (2.7.7.2).
  bool ShouldSignal();

  // Asks the driver not to kick / to kick again. EnableKicks answers true if chains arrived in between, in which case
  // the caller must go on popping: the kick for them will not come (2.7.10).
  void DisableKicks();
  bool EnableKicks();

  QueueFault fault() const { return fault_; }
  uint16_t size() const { return config_.size; }

 private:
  struct Rings {
    vring_desc* descriptors;
    vring_avail* avail;
    vring_used* used;
  };
  // A table of descriptors: the queue's own, or an indirect one.
  struct Table {
    GuestPhysAddr at;
    vring_desc* host;  // nullptr if it is not aligned, or not in one piece of RAM
    uint32_t entries;
  };
  Virtqueue(const VirtqueueConfig& config, const memory::GuestMemory* memory, const Rings& rings)
      : config_(config), memory_(memory), rings_(rings) {}
  // All false: see fault_.
  bool Walk(DescriptorChain* chain);
  bool FetchDescriptor(const Table& table, uint16_t index, vring_desc* descriptor);
  bool EnterIndirect(const vring_desc& descriptor, Table* table);
  bool AppendBuffer(const vring_desc& descriptor, DescriptorChain* chain);
  bool Fail(QueueFault fault);

  uint16_t LoadAvailIndex() const;
  uint16_t LoadUsedEvent() const;

  const VirtqueueConfig config_;
  const memory::GuestMemory* const memory_;
  const Rings rings_;
  uint16_t next_avail_ = 0;
  uint16_t seen_avail_ = 0;  // the driver's index when last read: entries up to it may be taken unasked
  uint16_t next_used_ = 0;
  uint16_t signalled_used_ = 0;  // next_used_ at the last call of ShouldSignal
  // 2^16 chains were pushed since then, so that the difference of the two says nothing.
  bool used_lapped_ = false;
  QueueFault fault_ = QueueFault::kNone;
};

}  // namespace daxvmm::virtio

#endif  // DAXVMM_DEVICES_VIRTIO_VIRTQUEUE_H_
