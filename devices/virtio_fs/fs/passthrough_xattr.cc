// Extended attributes, through the magic link of the held inode: the calls that take a descriptor refuse O_PATH, and
// opening a file for I/O only to read an attribute is out of the question for devices and FIFOs. The magic link ends at
// the inode itself, so this works for symbolic links as well.
#include <linux/limits.h>
#include <sys/xattr.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::kOk;
using fuse::RequestContext;
using fuse::Result;

// The names of which the host's file systems make access control: POSIX ACLs, NFSv4 ACLs, DOS attributes. Who may set
// one is for the client to check, which it does only where FUSE_POSIX_ACL was granted; without, Linux passes them on
// for anybody (fs/xattr.c, xattr_permission; fs/fuse/xattr.c, 6.1), and since an ACL sets the mode bits, any user of
// the guest could open up any file. So the share has none, as a file system that knows no ACLs.
bool IsAccessControl(absl::string_view name) { return absl::StartsWith(name, "system."); }

// `names` (each with its NUL) without those of access control.
std::string WithoutAccessControl(absl::string_view names) {
  std::string rest;
  while (!names.empty()) {
    const size_t length = std::min(names.find('\0'), names.size() - 1) + 1;
    if (!IsAccessControl(names)) rest.append(names.data(), length);
    names.remove_prefix(length);
  }
  return rest;
}

// Calls `get` with a small buffer, then with one that holds the most that can exist. The guest's idea of a size is not
// asked for.
template <typename Get>
Result<std::string> Fetch(size_t most, Get get) {
  std::string value(256, '\0');
  ssize_t n = get(value.data(), value.size());
  if (n < 0 && errno == ERANGE) {
    value.resize(most);
    n = get(value.data(), value.size());
  }
  if (n < 0) return Errno::Last();
  value.resize(static_cast<size_t>(n));
  return value;
}

}  // namespace

Errno PassthroughFs::SetXattr(const RequestContext& /*ctx*/, NodeId node, const std::string& name,
                              absl::string_view value, uint32_t flags, uint32_t /*setxattr_flags*/) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  if (options_.read_only) return Errno(EROFS);
  if (IsAccessControl(name)) return Errno(EOPNOTSUPP);
  if (value.size() > XATTR_SIZE_MAX) return Errno(E2BIG);
  const ProcPath path(inode->fd());
  if (setxattr(path.c_str(), name.c_str(), value.data(), value.size(), static_cast<int>(flags)) != 0) {
    return Errno::Last();
  }
  (*inode)->facts.ForgetCapability();
  return kOk;
}

Result<std::string> PassthroughFs::GetXattr(const RequestContext& /*ctx*/, NodeId node, const std::string& name) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  if (IsAccessControl(name)) return Errno(EOPNOTSUPP);
  const ProcPath path(inode->fd());
  return Fetch(XATTR_SIZE_MAX, [&](char* to, size_t size) { return getxattr(path.c_str(), name.c_str(), to, size); });
}

Result<std::string> PassthroughFs::ListXattr(const RequestContext& /*ctx*/, NodeId node) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  const ProcPath path(inode->fd());
  Result<std::string> names =
      Fetch(XATTR_LIST_MAX, [&](char* to, size_t size) { return listxattr(path.c_str(), to, size); });
  if (!names.ok()) return names;
  return WithoutAccessControl(*names);
}

Errno PassthroughFs::RemoveXattr(const RequestContext& /*ctx*/, NodeId node, const std::string& name) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  if (options_.read_only) return Errno(EROFS);
  if (IsAccessControl(name)) return Errno(EOPNOTSUPP);
  return removexattr(ProcPath(inode->fd()).c_str(), name.c_str()) == 0 ? kOk : Errno::Last();
}

}  // namespace daxvmm::fs
