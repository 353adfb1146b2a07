#include "devices/virtio_fs/fs/host_facts.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include <optional>

#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

constexpr uint32_t kHugePage = 2 << 20;

// Other file systems mean other things by a large block size.
bool MeansHugePagesByLargeBlocks(int fd) {
  struct statfs st;
  return fstatfs(fd, &st) == 0 && (st.f_type == TMPFS_MAGIC || st.f_type == HUGETLBFS_MAGIC);
}

}  // namespace

bool HasSecurityCapabilityNow(int fd) { return getxattr(ProcPath(fd).c_str(), kSecurityCapability, nullptr, 0) >= 0; }

bool SaysHugePages(int fd, uint32_t block_size) { return block_size >= kHugePage && MeansHugePagesByLargeBlocks(fd); }

bool IsInHugePages(const PinnedInode& inode, uint32_t block_size) {
  if (block_size < kHugePage || !inode->is_regular()) return false;
  if (const std::optional<bool> known = inode->facts.huge_file_system(); known.has_value()) return *known;
  const bool huge = MeansHugePagesByLargeBlocks(inode.fd());
  inode->facts.NoteHugeFileSystem(huge);
  return huge;
}

}  // namespace daxvmm::fs
