#include "devices/virtio_fs/fs/held_descriptors.h"

#include <utility>

namespace daxvmm::fs {

SharedFd HeldDescriptors::Use(const Inode& inode) {
  if (inode.held_ == Inode::kNotHeld) return nullptr;
  Slot& slot = slots_[inode.held_];
  slot.used = true;
  return slot.fd;
}

bool HeldDescriptors::Full(bool needed) const { return size() >= most_ || (!needed && size() - firm_ >= most_idle_); }

bool HeldDescriptors::Put(Inode* inode, SharedFd fd, bool firm, bool needed) {
  if (Full(needed)) return false;
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  inode->held_ = free_.back();
  free_.pop_back();
  slots_[inode->held_] = Slot{.fd = std::move(fd), .inode = inode, .used = true, .firm = firm};
  firm_ += firm ? 1 : 0;
  return true;
}

SharedFd HeldDescriptors::Remove(Inode* inode) {
  if (inode->held_ == Inode::kNotHeld) return nullptr;
  Slot& slot = slots_[inode->held_];
  firm_ -= slot.firm ? 1 : 0;
  free_.push_back(std::exchange(inode->held_, Inode::kNotHeld));
  return std::exchange(slot, Slot{}).fd;
}

bool HeldDescriptors::IsIdle(const Slot& slot, long users) {
  // References are taken under the table's lock, and so are files opened: neither comes on top while this looks.
  return slot.fd != nullptr && !slot.firm && slot.fd.use_count() == users &&
         slot.inode->open_handles.load(std::memory_order_relaxed) == 0;
}

HeldDescriptors::Victim HeldDescriptors::FindVictim(bool thorough) {
  constexpr size_t kAFew = 64;
  const size_t steps = thorough ? 2 * slots_.size() : kAFew;
  for (size_t i = 0; i < steps && !slots_.empty(); ++i) {
    hand_ = hand_ + 1 < slots_.size() ? hand_ + 1 : 0;
    Slot& slot = slots_[hand_];
    if (!IsIdle(slot, /*users=*/1) || std::exchange(slot.used, false)) continue;
    return {hand_, slot.fd};
  }
  return {};
}

SharedFd HeldDescriptors::Evict(const Victim& victim, bool unlinked) {
  Slot& slot = slots_[victim.at];
  if (slot.fd != victim.fd) return nullptr;
  if (unlinked) {
    firm_ += slot.firm ? 0 : 1;
    slot.firm = true;
    return nullptr;
  }
  if (slot.used || !IsIdle(slot, /*users=*/2)) return nullptr;
  return Remove(slot.inode);
}

}  // namespace daxvmm::fs
