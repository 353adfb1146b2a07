// The ways in which a driver, hostile or mad, can break a ring.
#ifndef DAXVMM_TESTS_FAKES_RING_BREAK_H_
#define DAXVMM_TESTS_FAKES_RING_BREAK_H_

#include <cstdint>

#include "devices/virtio/virtqueue.h"
#include "tests/fakes/driver_queue.h"

namespace daxvmm::fakes {

enum class RingBreak {
  kAvailIndexJump,
  kAvailIndexBackwards,
  kHeadOutOfRange,
  kNextOutOfRange,
  kSelfLoop,
  kLongLoop,
  kIndirectLoop,
  kIndirectNextOutOfRange,
  kNestedIndirect,
  kEmptyIndirect,
  kRaggedIndirect,  // not a multiple of 16 bytes
  kIndirectWithNext,
  kIndirectOutsideMemory,
  kIndirectTableWraps,
  kWritableBeforeReadable,
  kIndirectWritableBeforeReadable,
  kBufferOutsideMemory,
  kBufferCrossesEnd,
  kBufferWraps,
};

inline constexpr RingBreak kAllRingBreaks[] = {
    RingBreak::kAvailIndexJump,
    RingBreak::kAvailIndexBackwards,
    RingBreak::kHeadOutOfRange,
    RingBreak::kNextOutOfRange,
    RingBreak::kSelfLoop,
    RingBreak::kLongLoop,
    RingBreak::kIndirectLoop,
    RingBreak::kIndirectNextOutOfRange,
    RingBreak::kNestedIndirect,
    RingBreak::kEmptyIndirect,
    RingBreak::kRaggedIndirect,
    RingBreak::kIndirectWithNext,
    RingBreak::kIndirectOutsideMemory,
    RingBreak::kIndirectTableWraps,
    RingBreak::kWritableBeforeReadable,
    RingBreak::kIndirectWritableBeforeReadable,
    RingBreak::kBufferOutsideMemory,
    RingBreak::kBufferCrossesEnd,
    RingBreak::kBufferWraps,
};

const char* RingBreakName(RingBreak how);
// What a device should call it.
virtio::QueueFault ExpectedFault(RingBreak how);

// Breaks a ring that has nothing outstanding, and publishes that; kick the device as you like. Afterwards only Reset
// makes sense of `queue`. The size must be at least 4, and INDIRECT_DESC negotiated.
void BreakRing(DriverQueue* queue, RingBreak how);

}  // namespace daxvmm::fakes

#endif  // DAXVMM_TESTS_FAKES_RING_BREAK_H_
