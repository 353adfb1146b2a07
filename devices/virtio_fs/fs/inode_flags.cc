#include "devices/virtio_fs/fs/inode_flags.h"

#include <sys/ioctl.h>

#include <cerrno>
#include <utility>

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::kOk;

// Those that Linux itself translates (fileattr_fill_flags in fs/ioctl.c, 6.1).
constexpr std::pair<uint32_t, uint32_t> kBothForms[] = {
    {FS_SYNC_FL, FS_XFLAG_SYNC},     {FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE}, {FS_APPEND_FL, FS_XFLAG_APPEND},
    {FS_NODUMP_FL, FS_XFLAG_NODUMP}, {FS_NOATIME_FL, FS_XFLAG_NOATIME},     {FS_PROJINHERIT_FL, FS_XFLAG_PROJINHERIT},
    {FS_DAX_FL, FS_XFLAG_DAX},
};

// A file system without such flags refuses the ioctl itself.
Errno LastOfIoctl() { return errno == ENOTTY ? Errno(EOPNOTSUPP) : Errno::Last(); }

}  // namespace

uint32_t GetInodeFlags(int fd) {
  // The commands encode a long, but the kernel reads and writes an int.
  uint32_t flags = 0;
  return ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 ? flags : 0;
}

fsxattr GetInodeAttributes(int fd) {
  fsxattr attributes = {};
  return ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0 ? attributes : fsxattr{};
}

Errno ChangeInodeFlags(int fd, uint32_t which, uint32_t flags) {
  uint32_t all = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &all) != 0) return LastOfIoctl();
  all = (all & ~which) | (flags & which);
  return ioctl(fd, FS_IOC_SETFLAGS, &all) == 0 ? kOk : LastOfIoctl();
}

Errno ChangeInodeXflags(int fd, uint32_t which, uint32_t xflags) {
  fsxattr all = {};
  if (ioctl(fd, FS_IOC_FSGETXATTR, &all) != 0) return LastOfIoctl();
  all.fsx_xflags = (all.fsx_xflags & ~which) | (xflags & which);
  return ioctl(fd, FS_IOC_FSSETXATTR, &all) == 0 ? kOk : LastOfIoctl();
}

uint32_t ToXflags(uint32_t flags) {
  uint32_t xflags = 0;
  for (const auto& [flag, xflag] : kBothForms) xflags |= (flags & flag) != 0 ? xflag : 0;
  return xflags;
}

}  // namespace daxvmm::fs
