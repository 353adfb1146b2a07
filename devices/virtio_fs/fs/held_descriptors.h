// Which inodes have a descriptor: a bounded number, those that need one and of the others the ones used last.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_HELD_DESCRIPTORS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_HELD_DESCRIPTORS_H_

#include <cstdint>
#include <vector>

#include "devices/virtio_fs/fs/inode.h"

namespace daxvmm::fs {

// An inode needs its descriptor if nothing else leads to it: it has no file handle, or no name any more (`firm`), or
// the guest has it open and may take its last name away. The rest are held to save an open, and let go of by the second
// chance (clock) rule.
//
// Not thread-safe: all methods are for the lock of the table that owns it, and make no system call. What a method
// returns as descriptor is to be let go of outside of that lock, since it may be the last reference.
class HeldDescriptors {
 public:
  // At most `most` descriptors, of which at most `most_idle` only save an open.
  HeldDescriptors(uint64_t most, uint64_t most_idle) : most_(most), most_idle_(most_idle) {}

  // The inode's descriptor, marked as used; null if it has none.
  SharedFd Use(const Inode& inode);
  // Whether Put would refuse.
  bool Full(bool needed) const;
  // Keeps `fd` for an inode that has none. False if there is no room, which `needed` can have more of.
  bool Put(Inode* inode, SharedFd fd, bool firm, bool needed);
  // Lets go of the inode's descriptor, if it has one.
  SharedFd Remove(Inode* inode);

  struct Victim {
    uint32_t at = 0;
    SharedFd fd;  // null: none found
  };
  // One that could go. Looks at all if `thorough`, else at a few only.
  Victim FindVictim(bool thorough);
  // Lets go of it, unless it was used meanwhile, or is `unlinked`: then it stays, for good. Null if it stays.
  SharedFd Evict(const Victim& victim, bool unlinked);

  uint64_t size() const { return slots_.size() - free_.size(); }

 private:
  struct Slot {
    SharedFd fd;  // null: free
    Inode* inode = nullptr;
    bool used = false;
    bool firm = false;
  };
  // Whether the slot's descriptor only saves an open, and nobody has a reference but `users`.
  static bool IsIdle(const Slot& slot, long users);

  const uint64_t most_;
  const uint64_t most_idle_;
  uint64_t firm_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint32_t hand_ = 0;
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_HELD_DESCRIPTORS_H_
