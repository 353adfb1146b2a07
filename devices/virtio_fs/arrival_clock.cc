#include "devices/virtio_fs/arrival_clock.h"

namespace daxvmm::virtio_fs {

ArrivalClock::TimePoint ArrivalClock::Take() {
  while (!replies_.empty() && replies_.front().available <= taken_) {
    sent_after_ = replies_.front().at;
    replies_.pop_front();
  }
  ++taken_;
  return sent_after_;
}

void ArrivalClock::Answer(uint16_t waiting, TimePoint now) {
  const uint64_t available = taken_ + waiting;
  // Of several replies that the same chains were not available at, the last one says most.
  if (!replies_.empty() && replies_.back().available >= available) {
    replies_.back().at = now;
  } else {
    replies_.push_back({available, now});
  }
}

}  // namespace daxvmm::virtio_fs
