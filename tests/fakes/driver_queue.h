// The driver's half of a split virtqueue (virtio 1.2, 2.7).
#ifndef DAXVMM_TESTS_FAKES_DRIVER_QUEUE_H_
#define DAXVMM_TESTS_FAKES_DRIVER_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/units.h"
#include "devices/virtio/ring_abi.h"
#include "devices/virtio/virtqueue.h"
#include "tests/fakes/guest_ram.h"

namespace daxvmm::fakes {

// The bytes of plain objects, one behind the other: BytesOf(in_header, open_in).
template <typename... T>
std::vector<std::byte> BytesOf(const T&... objects) {
  static_assert((std::is_trivially_copyable_v<T> && ...));
  std::vector<std::byte> bytes((sizeof(T) + ... + 0));
  size_t at = 0;
  ((std::memcpy(bytes.data() + at, &objects, sizeof(T)), at += sizeof(T)), ...);
  return bytes;
}
// The text and, as names in FUSE requests have it, a zero byte.
std::vector<std::byte> BytesOfName(absl::string_view name);
std::vector<std::byte> Concatenate(std::vector<std::byte> first, std::span<const std::byte> second);

// One descriptor of a chain.
struct Buffer {
  GuestPhysAddr at;
  uint32_t size = 0;
  bool device_writes = false;
};

// A chain as a driver thinks of it.
struct Request {
  std::vector<std::byte> out;  // what the device reads
  // `out` goes into buffers of these sizes, and what is left into one more. Zeros make descriptors of length 0.
  std::vector<uint32_t> out_cuts = {};
  std::vector<uint32_t> in_sizes = {};  // buffers that the device fills
  bool indirect = false;
};

struct Completion {
  uint16_t head = 0;
  uint32_t written = 0;
  std::vector<std::byte> in;  // the first `written` bytes of the device's buffers, or all of them if that claims more
};

struct DriverQueueOptions {
  uint16_t size = 64;
  bool event_idx = true;
  bool indirect = true;
};

// One thread at a time. The device may run on another: indices are accessed as Linux does, with barriers.
class DriverQueue {
 public:
  DriverQueue(GuestRam* ram, const DriverQueueOptions& options);
  ~DriverQueue();
  DriverQueue(const DriverQueue&) = delete;
  DriverQueue& operator=(const DriverQueue&) = delete;

  const virtio::VirtqueueConfig& config() const { return config_; }
  uint16_t size() const { return config_.size; }
  GuestRam& ram() { return *ram_; }

  // Puts a chain in the ring, unseen by the device until Publish. The head, or nullopt if the table is full.
  std::optional<uint16_t> Add(const Request& request);
  // The same with buffers wherever the caller likes, which remain the caller's: in a window, say.
  std::optional<uint16_t> AddBuffers(std::span<const Buffer> buffers, bool indirect = false);
  // Makes a chain that was added available once more, as no driver should.
  void AddHeadAgain(uint16_t head);
  // Lets the device see what was added. True if it asked to be kicked for that (2.7.7, 2.7.10).
  bool Publish();

  // What the device gave back since. Aborts on a head that was not the device's to give.
  std::vector<Completion> Collect();
  bool HasUsed() const { return used_index() != next_used_; }
  size_t outstanding() const { return outstanding_.size(); }

  // Asks for an interrupt at the next used buffer, or for none, as Linux does. True if something came in meanwhile.
  bool WantInterrupts(bool want);
  void SetUsedEvent(uint16_t value) { Store16(used_event_, value); }
  void SetAvailFlags(uint16_t flags) { Store16(&avail_->flags, flags); }

  // All as after the device's reset: empty rings, nothing outstanding.
  void Reset();

  // The raw ring, for breaking it. Indices into the rings are taken modulo the size.
  void WriteDescriptor(uint16_t index, const vring_desc& descriptor) { descriptors_[index] = descriptor; }
  vring_desc ReadDescriptor(uint16_t index) const { return descriptors_[index]; }
  void WriteAvailSlot(uint16_t slot, uint16_t head);
  void StoreAvailIndex(uint16_t index) { Store16(&avail_->idx, index); }
  uint16_t avail_index() const { return Load16(&avail_->idx); }
  uint16_t used_index() const { return Load16(&used_->idx); }
  vring_used_elem used_slot(uint16_t slot) const;
  uint16_t used_flags() const { return Load16(&used_->flags); }
  uint16_t avail_event() const { return Load16(avail_event_); }

 private:
  struct Outstanding {
    int times = 1;
    std::vector<uint16_t> descriptors;
    std::vector<Buffer> buffers;
    std::optional<Buffer> table;
    bool owns_buffers = false;
  };
  static void Store16(uint16_t* at, uint16_t value);
  static uint16_t Load16(const uint16_t* at);
  void Release(uint16_t head, Outstanding* chain);

  GuestRam* const ram_;
  virtio::VirtqueueConfig config_;
  vring_desc* descriptors_ = nullptr;
  vring_avail* avail_ = nullptr;
  vring_used* used_ = nullptr;
  uint16_t* used_event_ = nullptr;
  uint16_t* avail_event_ = nullptr;

  std::vector<uint16_t> free_;
  std::map<uint16_t, Outstanding> outstanding_;  // by head
  uint16_t next_avail_ = 0;
  uint16_t published_ = 0;
  uint16_t next_used_ = 0;
};

}  // namespace daxvmm::fakes

#endif  // DAXVMM_TESTS_FAKES_DRIVER_QUEUE_H_
