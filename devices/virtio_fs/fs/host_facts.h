// Facts of a host file that the DAX decision needs and that no field of statx says.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_HOST_FACTS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_HOST_FACTS_H_

#include <cstdint>

#include "devices/virtio_fs/fs/inode.h"

namespace daxvmm::fs {

inline constexpr char kSecurityCapability[] = "security.capability";

// Whether the file of `fd` (O_PATH will do) carries security.capability at this moment. One system call.
bool HasSecurityCapabilityNow(int fd);

// Whether the host keeps the regular file of `fd` in huge pages, as far as it says: hugetlbfs, and tmpfs mounted with
// huge=, say so by the preferred block size `block_size` (shmem_getattr in mm/shmem.c of Linux 6.1). What ext4 and xfs
// have in large folios nothing tells. A system call if the block size is that large, else none.
bool SaysHugePages(int fd, uint32_t block_size);
// The same of a live inode, which remembers what its file system is.
bool IsInHugePages(const PinnedInode& inode, uint32_t block_size);

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_HOST_FACTS_H_
