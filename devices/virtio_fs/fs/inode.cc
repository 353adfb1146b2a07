#include "devices/virtio_fs/fs/inode.h"

#include <fcntl.h>

#include "absl/hash/hash.h"

namespace daxvmm::fs {
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
  const bool settled = IsSettled(stx.stx_ctime);
  return last_open_.exchange(settled ? now : 0, std::memory_order_acq_rel) == now;
}

}  // namespace daxvmm::fs
