// What the DAX side keeps of one live regular file, in the room that the file system gives it in each inode.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_INODE_RECORD_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_INODE_RECORD_H_

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "devices/virtio_fs/dax/told_record.h"
#include "devices/virtio_fs/fuse/inode_observer.h"

namespace daxvmm::dax {

// A fact that may not have been looked at yet, in two bits.
enum class Known : uint8_t { kNotYet, kNo, kYes };
constexpr Known KnownAs(bool value) { return value ? Known::kYes : Known::kNo; }

// Zero bytes are the record of an inode that nothing is known of. Under the lock of its shard (InodeStates).
struct InodeRecord : ToldRecord {
  // For the hint and the capability: as last looked at. For the adaptive verdict: as latched.
  Known dax_hint : 2 = Known::kNotYet;
  Known security_capability : 2 = Known::kNotYet;
  Known adaptive : 2 = Known::kNotYet;
  bool huge_pages : 1 = false;
  bool gone : 1 = false;  // the guest has given back its last reference; open files may still be read
  uint16_t mode = 0;
  uint16_t against_policy = 0;  // SETUPMAPPING against the policy, served or refused; stays at its maximum
  uint64_t size = 0;            // as the guest was told last
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t attributes_at = 0;   // milliseconds of the states' clock, when they were last told
  uint32_t setup_mappings = 0;  // that succeeded
};

// How a slot is used. The compiler lays the record's first members behind those of its base, without a gap.
struct SlotUse {
  // The file's rule class and what it follows from: an atomic of its own, under no lock; see InodeStates::ClassOf.
  uint64_t placement = 0;
  InodeRecord record;
};
static_assert(sizeof(SlotUse) <= fuse::ObserverSlot::kSize && alignof(SlotUse) <= alignof(fuse::ObserverSlot));
static_assert(std::is_trivially_copyable_v<SlotUse> && std::is_trivially_destructible_v<SlotUse>);

inline SlotUse& UseOf(fuse::ObserverSlot& slot) { return *reinterpret_cast<SlotUse*>(slot.bytes); }
inline InodeRecord& RecordIn(fuse::ObserverSlot& slot) { return UseOf(slot).record; }
inline std::atomic_ref<uint64_t> PlacementIn(fuse::ObserverSlot& slot) {
  return std::atomic_ref<uint64_t>(UseOf(slot).placement);
}

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_INODE_RECORD_H_
