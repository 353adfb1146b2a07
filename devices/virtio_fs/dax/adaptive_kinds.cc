#include "devices/virtio_fs/dax/adaptive_kinds.h"

namespace daxvmm::dax {

size_t AdaptiveKinds::Index(ByteCount size, bool huge_pages) {
  size_t range = 0;
  for (uint64_t bound = KiB(64).raw(); range + 1 < kSizes && size.raw() > bound; bound *= 2) ++range;
  return range * 2 + (huge_pages ? 1 : 0);
}

void AdaptiveKinds::Vote(const AdaptiveTuning& tuning, ByteCount size, bool huge_pages, bool worth) {
  Kind& kind = kinds_[Index(size, huge_pages)];
  ++kind.votes;
  kind.score += ((worth ? 1.0 : -1.0) - kind.score) / tuning.kind_memory;
  // Two thresholds, so that one file does not tip the next.
  if (kind.score <= tuning.kind_denied_at) kind.denied = true;
  if (kind.score >= tuning.kind_granted_at) kind.denied = false;
}

void AdaptiveKinds::Order(const AdaptiveTuning& tuning, ByteCount size, bool huge_pages, bool in_order) {
  Kind& kind = kinds_[Index(size, huge_pages)];
  kind.order += ((in_order ? 1.0 : -1.0) - kind.order) / tuning.kind_memory;
}

bool AdaptiveKinds::TakesTrial(uint32_t every, ByteCount size, bool huge_pages) {
  Kind& kind = kinds_[Index(size, huge_pages)];
  ++kind.newcomers;
  return every != 0 && kind.newcomers % every == 0;
}

}  // namespace daxvmm::dax
