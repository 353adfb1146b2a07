// What is remembered of a live inode so that the host is not asked again: facts that the DAX decision and the store of
// a mapping need, and that cost a system call each.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_CACHED_FACTS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_CACHED_FACTS_H_

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <optional>

#include "devices/virtio_fs/fs/dax_hint.h"

namespace daxvmm::fs {

// Whether a change from now on must leave another time stamp than `ctime`. False for one so recent that the clock that
// stamps files may still stand at it.
bool IsSettled(const statx_timestamp& ctime);

// Any thread may call any method. Each fact is a relaxed atomic of its own: nothing else is ordered by it.
class CachedFacts {
 public:
  // The hint as read once, or as the guest set it since; nullopt if nobody asked yet. A change on the host is not seen.
  std::optional<DaxHint> dax_hint() const;
  // What was read, for somebody who found no answer. Yields to a setter that came meanwhile; returns what is kept.
  DaxHint NoteReadHint(DaxHint hint);
  void SetHint(DaxHint hint) { hint_.store(static_cast<int8_t>(hint), std::memory_order_relaxed); }

  // Whether the file system is one that says by a large block size that it keeps a file in huge pages.
  std::optional<bool> huge_file_system() const {
    const int8_t known = huge_file_system_.load(std::memory_order_relaxed);
    return known == kNotRead ? std::nullopt : std::optional(known != 0);
  }
  void NoteHugeFileSystem(bool is_one) { huge_file_system_.store(is_one ? 1 : 0, std::memory_order_relaxed); }

  // Of every attribute reply: the mode, and whether what is known of security.capability still holds (whoever sets or
  // removes it changes the ctime).
  void Seen(const struct statx& stx);
  // Whether the file carries security.capability, as of the change that `ctime` is of.
  std::optional<bool> CapabilityAsOf(const statx_timestamp& ctime) const;
  // `settled`: IsSettled(ctime) said so before the attribute was asked for; else nothing is kept.
  void NoteCapability(const statx_timestamp& ctime, bool settled, bool present);
  // The guest may have changed it.
  void ForgetCapability() { capability_.store(kUnknown, std::memory_order_relaxed); }

  // False only if, as far as the guest was told or asked, the file has no set-id bit and no security.capability.
  bool MayHavePrivileges() const;

 private:
  static constexpr uint64_t kUnknown = 0;
  static constexpr uint64_t kPresent = 1;
  static constexpr uint64_t kKnown = 2;
  static constexpr int8_t kNotRead = -1;

  static uint64_t Key(const statx_timestamp& ctime);

  std::atomic<uint64_t> capability_{kUnknown};  // the ctime in nanoseconds, shifted, and the two bits above
  std::atomic<int8_t> hint_{kNotRead};
  std::atomic<int8_t> huge_file_system_{kNotRead};
  std::atomic<bool> set_id_{true};
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_CACHED_FACTS_H_
