// The ioctls of chattr(1) and of xfs_io's chattr: the guest's way to the persistent DAX hint. Whether the caller may
// (owner, or CAP_FOWNER; CAP_LINUX_IMMUTABLE) the guest's VFS has checked.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "devices/virtio_fs/fs/inode_flags.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::kOk;
using fuse::Result;

// Linux passes the 64-bit numbers on, whose size is a long's, with the 4 bytes that the kernel really moves (fs/fuse/
// ioctl.c, 6.1); whoever is a 32-bit program of another client has the numbers of an int.
constexpr uint32_t kGetFlags = FS_IOC_GETFLAGS;
constexpr uint32_t kSetFlags = FS_IOC_SETFLAGS;
constexpr uint32_t kGetFlags32 = FS_IOC32_GETFLAGS;
constexpr uint32_t kSetFlags32 = FS_IOC32_SETFLAGS;
constexpr uint32_t kGetAttributes = FS_IOC_FSGETXATTR;
constexpr uint32_t kSetAttributes = FS_IOC_FSSETXATTR;

// What only reports: a setter that read them before something else changed them means nothing by it.
constexpr uint32_t kReportedXflags = FS_XFLAG_PREALLOC | FS_XFLAG_HASATTR;

Result<UniqueFd> OpenForIoctl(const PinnedInode& inode) {
  return Reopen(inode.fd(), inode->is_directory() ? S_IFDIR : S_IFREG, O_RDONLY | O_NOATIME | O_NONBLOCK);
}

// A getter succeeds whatever the host says, since every setter begins with one: flags that cannot be read are 0.
uint32_t ReadFlags(const PinnedInode& inode, bool hint) {
  const Result<UniqueFd> fd = OpenForIoctl(inode);
  const uint32_t flags = fd.ok() ? GetInodeFlags((*fd).get()) & ~uint32_t{FS_DAX_FL} : 0;
  return flags | (hint ? FS_DAX_FL : 0);
}

fsxattr ReadAttributes(const PinnedInode& inode, bool hint) {
  const Result<UniqueFd> fd = OpenForIoctl(inode);
  fsxattr attributes = {};
  if (fd.ok()) attributes = GetInodeAttributes((*fd).get());
  attributes.fsx_xflags = (attributes.fsx_xflags & ~uint32_t{FS_XFLAG_DAX}) | (hint ? FS_XFLAG_DAX : 0);
  return attributes;
}

// Changes the host's flags first, then the hint, or the other way round: what freezes an inode must come last.
template <typename ChangeFlags, typename ChangeHint>
Errno InOrder(bool frozen, ChangeFlags flags, ChangeHint hint) {
  if (frozen) {
    const Errno error = flags();
    return error.ok() ? hint() : error;
  }
  const Errno error = hint();
  return error.ok() ? flags() : error;
}

}  // namespace

DaxHint PassthroughFs::HintOf(const PinnedInode& inode) const {
  if (const std::optional<DaxHint> known = inode->facts.dax_hint(); known.has_value()) return *known;
  return inode->facts.NoteReadHint(dax_hints_.Get(inode.fd(), inode->is_directory() ? S_IFDIR : S_IFREG));
}

Errno PassthroughFs::SetHint(const PinnedInode& inode, bool on) {
  const Result<DaxHint> set = dax_hints_.Set(inode.fd(), inode->is_directory() ? S_IFDIR : S_IFREG, on);
  if (!set.ok()) return set.error();
  inode->facts.SetHint(*set);
  return kOk;
}

void PassthroughFs::InheritHint(const PinnedInode& dir, int fd, mode_t type) {
  if ((type != S_IFREG && type != S_IFDIR) || HintOf(dir) == DaxHint::kUnset) return;
  // Where the host's file system has done it by itself this finds it so.
  (void)dax_hints_.Set(fd, type, true);
}

std::optional<bool> PassthroughFs::PersistentDaxHint(NodeId node) const {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok() || !(*inode)->is_regular()) return std::nullopt;
  return HintOf(*inode) != DaxHint::kUnset;
}

// A flag that the operator has not made settable is one that this file system does not have: EOPNOTSUPP, as ext4
// answers for those (ext4_fileattr_set). EPERM would say that another caller may.
Errno PassthroughFs::SetFlags(const PinnedInode& inode, uint32_t wanted) {
  const bool hint = HintOf(inode) != DaxHint::kUnset;
  const uint32_t now = ReadFlags(inode, hint);
  const uint32_t changed = now ^ wanted;
  if ((changed & ~(options_.settable_flags | FS_DAX_FL)) != 0) return Errno(EOPNOTSUPP);
  const uint32_t of_host = changed & ~uint32_t{FS_DAX_FL};
  return InOrder((now & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0,
                 [&]() -> Errno {
                   if (of_host == 0) return kOk;
                   const Result<UniqueFd> fd = OpenForIoctl(inode);
                   return fd.ok() ? ChangeInodeFlags((*fd).get(), of_host, wanted) : fd.error();
                 },
                 [&] { return (changed & FS_DAX_FL) != 0 ? SetHint(inode, !hint) : kOk; });
}

Errno PassthroughFs::SetAttributes(const PinnedInode& inode, const fsxattr& wanted) {
  const bool hint = HintOf(inode) != DaxHint::kUnset;
  const fsxattr now = ReadAttributes(inode, hint);
  // Extent sizes and quota projects are the host's business.
  if (wanted.fsx_extsize != now.fsx_extsize || wanted.fsx_projid != now.fsx_projid ||
      wanted.fsx_cowextsize != now.fsx_cowextsize) {
    return Errno(EOPNOTSUPP);
  }
  const uint32_t changed = (now.fsx_xflags ^ wanted.fsx_xflags) & ~kReportedXflags;
  if ((changed & ~(ToXflags(options_.settable_flags) | FS_XFLAG_DAX)) != 0) return Errno(EOPNOTSUPP);
  const uint32_t of_host = changed & ~uint32_t{FS_XFLAG_DAX};
  return InOrder((now.fsx_xflags & (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND)) != 0,
                 [&]() -> Errno {
                   if (of_host == 0) return kOk;
                   const Result<UniqueFd> fd = OpenForIoctl(inode);
                   return fd.ok() ? ChangeInodeXflags((*fd).get(), of_host, wanted.fsx_xflags) : fd.error();
                 },
                 [&] { return (changed & FS_XFLAG_DAX) != 0 ? SetHint(inode, !hint) : kOk; });
}

// By node: the handle is none where the client keeps directories open without asking.
Result<std::string> PassthroughFs::Ioctl(const fuse::RequestContext& /*ctx*/, NodeId node, const fuse_ioctl_in& in,
                                         absl::string_view input) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  if (!(*inode)->is_regular() && !(*inode)->is_directory()) return Errno(ENOTTY);
  const auto hint = [&] { return HintOf(*inode) != DaxHint::kUnset; };
  switch (in.cmd) {
    case kGetFlags:
    case kGetFlags32: {
      if (in.out_size != sizeof(uint32_t) && in.out_size != sizeof(uint64_t)) return Errno(EINVAL);
      const uint64_t flags = ReadFlags(*inode, hint());
      return std::string(reinterpret_cast<const char*>(&flags), in.out_size);
    }
    case kGetAttributes: {
      if (in.out_size != sizeof(fsxattr)) return Errno(EINVAL);
      const fsxattr attributes = ReadAttributes(*inode, hint());
      return std::string(reinterpret_cast<const char*>(&attributes), sizeof(attributes));
    }
    case kSetFlags:
    case kSetFlags32: {
      if (input.size() != sizeof(uint32_t) && input.size() != sizeof(uint64_t)) return Errno(EINVAL);
      if (options_.read_only) return Errno(EROFS);
      uint32_t wanted;
      std::memcpy(&wanted, input.data(), sizeof(wanted));
      if (const Errno error = SetFlags(*inode, wanted); !error.ok()) return error;
      return std::string();
    }
    case kSetAttributes: {
      fsxattr wanted;
      if (input.size() != sizeof(wanted)) return Errno(EINVAL);
      if (options_.read_only) return Errno(EROFS);
      std::memcpy(&wanted, input.data(), sizeof(wanted));
      if (const Errno error = SetAttributes(*inode, wanted); !error.ok()) return error;
      return std::string();
    }
    default:
      return Errno(ENOTTY);
  }
}

}  // namespace daxvmm::fs
