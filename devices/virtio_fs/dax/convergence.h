// How far a guest has come to what the policy says, inode by inode (docs/dax.md).
#ifndef DAXVMM_DEVICES_VIRTIO_FS_DAX_CONVERGENCE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_DAX_CONVERGENCE_H_

#include <cstdint>

#include "absl/time/time.h"

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
  absl::Duration attributes_left;  // with kAttributesCached: to the time-out
  bool operator==(const ConvergenceState&) const = default;
};

// Of live regular files.
struct ConvergenceCounts {
  uint64_t converged = 0;
  uint64_t attributes_cached = 0;
  uint64_t changes_on_next_use = 0;
  uint64_t noticed_held_open = 0;
  uint64_t noticed_still_held = 0;
  uint64_t unknown = 0;
  uint64_t generation = 0;      // the policy generation that they were counted under
  absl::Duration longest_wait;  // until the last of the cached attributes runs out

  // Nothing is left that only waiting, or a close, would change.
  bool settled() const {
    return attributes_cached == 0 && noticed_held_open == 0 && noticed_still_held == 0 && unknown == 0;
  }
  void Add(const ConvergenceState& state);
  // The counts of another share; the generation stays.
  void Add(const ConvergenceCounts& other);
};

}  // namespace daxvmm::dax

#endif  // DAXVMM_DEVICES_VIRTIO_FS_DAX_CONVERGENCE_H_
