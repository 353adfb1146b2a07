#include "devices/virtio_fs/fs/cached_facts.h"

#include <time.h>

#include "devices/virtio_fs/fuse/inode_observer.h"

namespace daxvmm::fs {

bool IsSettled(const statx_timestamp& ctime) {
  // File times come from the kernel's coarse clock, whose grain is a tick: 10 ms at CONFIG_HZ=100.
  constexpr int64_t kGrainNs = 20'000'000;
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t age_s = now.tv_sec - ctime.tv_sec;
  return age_s > 1 || (age_s >= 0 && age_s * 1'000'000'000 + now.tv_nsec - ctime.tv_nsec > kGrainNs);
}

std::optional<DaxHint> CachedFacts::dax_hint() const {
  const int8_t hint = hint_.load(std::memory_order_relaxed);
  return hint == kNotRead ? std::nullopt : std::optional(static_cast<DaxHint>(hint));
}

DaxHint CachedFacts::NoteReadHint(DaxHint hint) {
  int8_t kept = kNotRead;
  if (hint_.compare_exchange_strong(kept, static_cast<int8_t>(hint), std::memory_order_relaxed)) return hint;
  return static_cast<DaxHint>(kept);
}

void CachedFacts::Seen(const struct statx& stx) {
  set_id_.store(fuse::IsSetId(stx.stx_mode), std::memory_order_relaxed);
  uint64_t known = capability_.load(std::memory_order_relaxed);
  if (known != kUnknown && (known & ~(kKnown | kPresent)) != Key(stx.stx_ctime)) {
    capability_.compare_exchange_strong(known, kUnknown, std::memory_order_relaxed);
  }
}

std::optional<bool> CachedFacts::CapabilityAsOf(const statx_timestamp& ctime) const {
  const uint64_t known = capability_.load(std::memory_order_relaxed);
  if (known == kUnknown || (known & ~(kKnown | kPresent)) != Key(ctime)) return std::nullopt;
  return (known & kPresent) != 0;
}

void CachedFacts::NoteCapability(const statx_timestamp& ctime, bool settled, bool present) {
  if (!settled) return;
  capability_.store(Key(ctime) | kKnown | (present ? kPresent : 0), std::memory_order_relaxed);
}

bool CachedFacts::MayHavePrivileges() const {
  return set_id_.load(std::memory_order_relaxed) ||
         (capability_.load(std::memory_order_relaxed) & (kKnown | kPresent)) != kKnown;
}

uint64_t CachedFacts::Key(const statx_timestamp& ctime) {
  return (static_cast<uint64_t>(ctime.tv_sec) * 1'000'000'000 + ctime.tv_nsec) << 2;
}

}  // namespace daxvmm::fs
