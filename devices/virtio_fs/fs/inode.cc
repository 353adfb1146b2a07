#include "devices/virtio_fs/fs/inode.h"

#include <fcntl.h>
#include <time.h>

#include "absl/hash/hash.h"

namespace daxvmm::fs {
namespace {

// File times come from the kernel's coarse clock, whose grain is a tick: 10 ms at CONFIG_HZ=100.
constexpr int64_t kTimeStampGrainNs = 20'000'000;

}  // namespace

InodeKey KeyOf(const struct statx& stx) {
  return InodeKey{stx.stx_ino, (stx.stx_dev_major << 20) | stx.stx_dev_minor,
                  (stx.stx_mask & STATX_MNT_ID) != 0 ? static_cast<uint32_t>(stx.stx_mnt_id) : 0};
}

fuse::Result<struct statx> StatInode(int fd) {
  struct statx stx;
  if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_MNT_ID, &stx) != 0) {
    return fuse::Errno::Last();
  }
  return stx;
}

bool Inode::UnchangedSinceLastOpen(const struct statx& stx) {
  const uint64_t now = absl::HashOf(stx.stx_size, stx.stx_mtime.tv_sec, stx.stx_mtime.tv_nsec, stx.stx_ctime.tv_sec,
                                    stx.stx_ctime.tv_nsec) |
                       1;
  timespec clock;
  clock_gettime(CLOCK_REALTIME, &clock);
  const int64_t age_s = clock.tv_sec - stx.stx_ctime.tv_sec;
  const bool settled =
      age_s > 1 || (age_s >= 0 && age_s * 1'000'000'000 + clock.tv_nsec - stx.stx_ctime.tv_nsec > kTimeStampGrainNs);
  return last_open_.exchange(settled ? now : 0, std::memory_order_acq_rel) == now;
}

}  // namespace daxvmm::fs
