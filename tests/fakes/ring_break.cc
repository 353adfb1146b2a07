#include "tests/fakes/ring_break.h"

#include <cstring>
#include <initializer_list>

#include "base/log.h"

namespace daxvmm::fakes {
namespace {

using virtio::QueueFault;

constexpr uint16_t kNext = VRING_DESC_F_NEXT;
constexpr uint16_t kWrite = VRING_DESC_F_WRITE;
constexpr uint16_t kIndirect = VRING_DESC_F_INDIRECT;

class Breaker {
 public:
  explicit Breaker(DriverQueue* queue)
      : queue_(queue),
        buffer_(queue->ram().Allocate(ByteCount(64)).raw()),
        table_(queue->ram().Allocate(ByteCount(4 * sizeof(vring_desc))).raw()) {}

  void Direct(std::initializer_list<vring_desc> chain) {
    uint16_t at = 0;
    for (const vring_desc& descriptor : chain) queue_->WriteDescriptor(at++, descriptor);
    Head(0);
  }
  void Table(std::initializer_list<vring_desc> entries) {
    CHECK(entries.size() <= 4);
    const ByteCount bytes(entries.size() * sizeof(vring_desc));
    std::memcpy(queue_->ram().Host(GuestPhysAddr(table_), bytes), entries.begin(), bytes.raw());
    Direct({{table_, static_cast<uint32_t>(bytes.raw()), kIndirect, 0}});
  }
  void Head(uint16_t head) {
    const uint16_t index = queue_->avail_index();
    queue_->WriteAvailSlot(index, head);
    queue_->StoreAvailIndex(static_cast<uint16_t>(index + 1));
  }
  void LongLoop() {
    for (uint16_t i = 0; i < queue_->size(); ++i) {
      queue_->WriteDescriptor(i, {buffer_, 8, kNext, static_cast<uint16_t>((i + 1) % queue_->size())});
    }
    Head(0);
  }
  uint64_t buffer() const { return buffer_; }
  uint64_t table() const { return table_; }
  uint64_t end_of_ram() const { return queue_->ram().end_of_ram().raw(); }
  void JumpAvailIndex(int by) { queue_->StoreAvailIndex(static_cast<uint16_t>(queue_->avail_index() + by)); }
  uint16_t size() const { return queue_->size(); }

 private:
  DriverQueue* const queue_;
  const uint64_t buffer_;
  const uint64_t table_;
};

}  // namespace

const char* RingBreakName(RingBreak how) {
  switch (how) {
    case RingBreak::kAvailIndexJump:
      return "AvailIndexJump";
    case RingBreak::kAvailIndexBackwards:
      return "AvailIndexBackwards";
    case RingBreak::kHeadOutOfRange:
      return "HeadOutOfRange";
    case RingBreak::kNextOutOfRange:
      return "NextOutOfRange";
    case RingBreak::kSelfLoop:
      return "SelfLoop";
    case RingBreak::kLongLoop:
      return "LongLoop";
    case RingBreak::kIndirectLoop:
      return "IndirectLoop";
    case RingBreak::kIndirectNextOutOfRange:
      return "IndirectNextOutOfRange";
    case RingBreak::kNestedIndirect:
      return "NestedIndirect";
    case RingBreak::kEmptyIndirect:
      return "EmptyIndirect";
    case RingBreak::kRaggedIndirect:
      return "RaggedIndirect";
    case RingBreak::kIndirectWithNext:
      return "IndirectWithNext";
    case RingBreak::kIndirectOutsideMemory:
      return "IndirectOutsideMemory";
    case RingBreak::kIndirectTableWraps:
      return "IndirectTableWraps";
    case RingBreak::kWritableBeforeReadable:
      return "WritableBeforeReadable";
    case RingBreak::kIndirectWritableBeforeReadable:
      return "IndirectWritableBeforeReadable";
    case RingBreak::kBufferOutsideMemory:
      return "BufferOutsideMemory";
    case RingBreak::kBufferCrossesEnd:
      return "BufferCrossesEnd";
    case RingBreak::kBufferWraps:
      return "BufferWraps";
  }
  return "?";
}

QueueFault ExpectedFault(RingBreak how) {
  switch (how) {
    case RingBreak::kAvailIndexJump:
    case RingBreak::kAvailIndexBackwards:
      return QueueFault::kAvailIndexJump;
    case RingBreak::kHeadOutOfRange:
    case RingBreak::kNextOutOfRange:
    case RingBreak::kIndirectNextOutOfRange:
      return QueueFault::kHeadOutOfRange;
    case RingBreak::kSelfLoop:
    case RingBreak::kLongLoop:
    case RingBreak::kIndirectLoop:
      return QueueFault::kChainTooLong;
    case RingBreak::kNestedIndirect:
    case RingBreak::kEmptyIndirect:
    case RingBreak::kRaggedIndirect:
    case RingBreak::kIndirectWithNext:
      return QueueFault::kBadIndirect;
    case RingBreak::kWritableBeforeReadable:
    case RingBreak::kIndirectWritableBeforeReadable:
      return QueueFault::kWritableBeforeReadable;
    case RingBreak::kIndirectOutsideMemory:
    case RingBreak::kIndirectTableWraps:
    case RingBreak::kBufferOutsideMemory:
    case RingBreak::kBufferCrossesEnd:
    case RingBreak::kBufferWraps:
      return QueueFault::kBadAddress;
  }
  return QueueFault::kNone;
}

void BreakRing(DriverQueue* queue, RingBreak how) {
  Breaker ring(queue);
  const uint64_t buffer = ring.buffer();
  switch (how) {
    case RingBreak::kAvailIndexJump:
      return ring.JumpAvailIndex(ring.size() + 1);
    case RingBreak::kAvailIndexBackwards:
      return ring.JumpAvailIndex(-1);
    case RingBreak::kHeadOutOfRange:
      return ring.Head(ring.size());
    case RingBreak::kNextOutOfRange:
      return ring.Direct({{buffer, 8, kNext, ring.size()}});
    case RingBreak::kSelfLoop:
      return ring.Direct({{buffer, 8, kNext, 0}});
    case RingBreak::kLongLoop:
      return ring.LongLoop();
    case RingBreak::kIndirectLoop:
      return ring.Table({{buffer, 8, kNext, 1}, {buffer, 8, kNext, 0}});
    case RingBreak::kIndirectNextOutOfRange:
      return ring.Table({{buffer, 8, kNext, 1}, {buffer, 8, kNext, 2}});
    case RingBreak::kNestedIndirect:
      return ring.Table({{buffer, 8, kNext, 1}, {ring.table(), 16, kIndirect, 0}});
    case RingBreak::kEmptyIndirect:
      return ring.Direct({{ring.table(), 0, kIndirect, 0}});
    case RingBreak::kRaggedIndirect:
      return ring.Direct({{ring.table(), 24, kIndirect, 0}});
    case RingBreak::kIndirectWithNext:
      return ring.Direct({{ring.table(), 16, kIndirect | kNext, 1}, {buffer, 8, 0, 0}});
    case RingBreak::kIndirectOutsideMemory:
      return ring.Direct({{ring.end_of_ram(), 16, kIndirect, 0}});
    case RingBreak::kIndirectTableWraps:
      return ring.Direct({{~uint64_t{15}, 32, kIndirect, 0}});
    case RingBreak::kWritableBeforeReadable:
      return ring.Direct({{buffer, 8, kWrite | kNext, 1}, {buffer, 8, 0, 0}});
    case RingBreak::kIndirectWritableBeforeReadable:
      return ring.Table({{buffer, 8, kWrite | kNext, 1}, {buffer, 8, 0, 0}});
    case RingBreak::kBufferOutsideMemory:
      return ring.Direct({{ring.end_of_ram(), 8, kWrite, 0}});
    case RingBreak::kBufferCrossesEnd:
      return ring.Direct({{ring.end_of_ram() - 4, 8, 0, 0}});
    case RingBreak::kBufferWraps:
      return ring.Direct({{~uint64_t{3}, 8, 0, 0}});
  }
}

}  // namespace daxvmm::fakes
