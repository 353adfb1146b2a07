// The flags of an inode of the host that chattr(1) shows, and the two forms in which ioctls carry them: FS_*_FL words
// and struct fsxattr.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_FLAGS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_FLAGS_H_

#include <linux/fs.h>

#include <cstdint>

#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// Descriptors here are open for reading, not O_PATH. What the host's file system does not have is 0.
uint32_t GetInodeFlags(int fd);
fsxattr GetInodeAttributes(int fd);

// Changes the flags in `which` to those of `flags`, and no others. EOPNOTSUPP where the file system has none.
fuse::Errno ChangeInodeFlags(int fd, uint32_t which, uint32_t flags);
// The same in the other form; both are FS_XFLAG_* words.
fuse::Errno ChangeInodeXflags(int fd, uint32_t which, uint32_t xflags);

// The FS_XFLAG_* of those FS_*_FL in `flags` that have one.
uint32_t ToXflags(uint32_t flags);

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_FLAGS_H_
