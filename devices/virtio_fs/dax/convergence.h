// How far a guest has come to what the policy says, inode by inode (docs/dax.md).
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_CONVERGENCE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_CONVERGENCE_H_

#include <chrono>
#include <cstdint>

namespace daxvmm::dax {

// Of one live regular file. Linux decides DAX when it makes its in-core inode, and drops an inode at its last close
// once a reply has told it of another decision (fuse_change_attributes_common and d_mark_dontcache, 6.1).
enum class Convergence {
  kConverged,         // the guest's inode is as the policy says, or its mount does not go by the policy
  kAttributesCached,  // it has not heard of the change yet, and need not ask before its time-out
  kChangesOnNextUse,  // it has not heard of it, and the time-out is over: its next stat or open hears of it
  kNoticedHeldOpen,   // it has heard of it, and has the file open
  kNoticedStillHeld,  // it has heard of it, has nothing open, and has not dropped the inode yet
  kUnknown,           // what the inode was made with cannot be known
};

struct ConvergenceState {
  Convergence what = Convergence::kConverged;
  std::chrono::milliseconds attributes_left{0};  // with kAttributesCached: to the time-out
  bool operator==(const ConvergenceState&) const = default;
};

struct ConvergenceCounts {
  uint64_t converged = 0;
  uint64_t attributes_cached = 0;
  uint64_t changes_on_next_use = 0;
  uint64_t noticed_held_open = 0;
  uint64_t noticed_still_held = 0;
  uint64_t unknown = 0;
  std::chrono::milliseconds longest_left{0};  // of the attributes that are cached

  void Add(const ConvergenceState& state);
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_CONVERGENCE_H_
