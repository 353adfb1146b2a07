// Which replies of a queue its driver may not have read yet when it made a request available.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_ARRIVAL_CLOCK_H_
#define DAXVMM_DEVICES_VIRTIO_FS_ARRIVAL_CLOCK_H_

#include <chrono>
#include <cstdint>
#include <deque>

namespace daxvmm::virtio_fs {

// Of one queue that is served in order, by its one thread. A request that was not available yet when a reply was given
// may have been made with that reply read; one that was available was in flight together with it.
class ArrivalClock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // The next chain is taken. The latest moment at which it was not available yet: when the queue was made, or when a
  // reply was given.
  TimePoint Take();
  // A reply is about to be given, at `now`, and `waiting` chains are available that were not taken. Of a driver that
  // claims more than a ring can hold, no more is kept than 65,535 entries.
  void Answer(uint16_t waiting, TimePoint now);

 private:
  struct Reply {
    uint64_t available;  // chains that had been made available when it was given
    TimePoint at;
  };
  uint64_t taken_ = 0;
  TimePoint sent_after_{};  // of the chains that are behind all of replies_
  // The replies that some chain to come was in flight with: `available` grows, and is above taken_.
  std::deque<Reply> replies_;
};

}  // namespace daxvmm::virtio_fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_ARRIVAL_CLOCK_H_
