// Extended attributes, through the magic link of the held inode: the calls that take a descriptor refuse O_PATH, and
// opening a file for I/O only to read an attribute is out of the question for devices and FIFOs. The magic link ends at
// the inode itself, so this works for symbolic links as well.
//
// The calls are made as the server, for any caller: who may touch user.*, trusted.* (CAP_SYS_ADMIN in the guest) and
// security.* (the guest's security modules) is checked by the guest's kernel before it asks (fs/xattr.c). An operator
// who does not want the guest's root to write the host's trusted.* or security.*, which mean something there as well,
// says so with a rule (xattr-map): deny, or map to names below user.*.
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "devices/virtio_fs/fs/credentials.h"
#include "devices/virtio_fs/fs/dax_hint.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fs/posix_acl.h"
#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::kOk;
using fuse::RequestContext;
using fuse::Result;

// The names of which the host's file systems make access control: POSIX ACLs, NFSv4 ACLs, DOS attributes. Who may set
// one is for the client to check, which it does only for POSIX ACLs, and only where FUSE_POSIX_ACL was granted;
// without, Linux passes them on for anybody (fs/xattr.c, xattr_permission; fs/fuse/xattr.c, 6.1), and since an ACL sets
// the mode bits, any user of the guest could open up any file. So there are none of the others, and no ACLs in a
// session without.
bool IsAccessControl(absl::string_view host_name) { return absl::StartsWith(host_name, "system."); }

// Linux keeps user.* off everything but files and directories (fs/xattr.c, xattr_permission), where names that a rule
// has led there cannot be.
bool CanCarry(mode_t mode, absl::string_view host_name) {
  return S_ISREG(mode) || S_ISDIR(mode) || !absl::StartsWith(host_name, "user.");
}

// What may not be touched is not there for who only looks. ERANGE would say that the value needs a larger buffer.
Errno ForGetter(Errno error) { return error == Errno(EPERM) || error == Errno(ERANGE) ? Errno(ENODATA) : error; }

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

bool PassthroughFs::serves_acls() const { return Granted(FUSE_POSIX_ACL); }

Result<std::string> PassthroughFs::HostXattrName(const std::string& name) const {
  Result<std::string> host = options_.xattr_map.ToHost(name);
  if (!host.ok()) return host;
  if (IsDaxHintName(*host)) return Errno(EPERM);
  if (IsAccessControl(*host) && !(serves_acls() && IsPosixAclName(name) && *host == name)) return Errno(EOPNOTSUPP);
  return host;
}

Errno PassthroughFs::LabelNew(const RequestContext& ctx, int fd) const {
  if (ctx.labels.empty()) return kOk;
  struct stat st;
  if (fstat(fd, &st) != 0) return Errno::Last();
  for (const fuse::SecurityLabel& label : ctx.labels) {
    // An ACL is no label; those of a new inode are its directory's.
    if (IsPosixAclName(label.name)) return Errno(EINVAL);
    if (!options_.xattr) continue;
    const Result<std::string> name = HostXattrName(label.name);
    Errno error = name.error();
    if (name.ok()) {
      if (!CanCarry(st.st_mode, *name)) continue;
      const int rc = setxattr(ProcPath(fd).c_str(), name->c_str(), label.value.data(), label.value.size(), 0);
      if (rc != 0) error = Errno::Last();
    }
    if (!error.ok() && error != Errno(EOPNOTSUPP)) return error;
  }
  return kOk;
}

Errno PassthroughFs::SetXattr(const RequestContext& /*ctx*/, NodeId node, const std::string& name,
                              absl::string_view value, uint32_t flags, uint32_t setxattr_flags) {
  if (!options_.xattr) return Errno(ENOSYS);
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  if (options_.read_only) return Errno(EROFS);
  const Result<std::string> host_name = HostXattrName(name);
  if (!host_name.ok()) return host_name.error();
  if (value.size() > XATTR_SIZE_MAX) return Errno(E2BIG);
  if (IsPosixAclName(*host_name)) {
    const bool kill_sgid = *host_name == kAccessAcl && (setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0;
    return SetAcl(*inode, *host_name, value, static_cast<int>(flags), kill_sgid);
  }
  const ProcPath path(inode->fd());
  if (setxattr(path.c_str(), host_name->c_str(), value.data(), value.size(), static_cast<int>(flags)) != 0) {
    return Errno::Last();
  }
  (*inode)->facts.ForgetCapability();
  return kOk;
}

Errno PassthroughFs::SetAcl(const PinnedInode& inode, const std::string& name, absl::string_view acl, int flags,
                            bool kill_sgid) const {
  const Result<std::string> host_acl = AclToHost(acl, options_.uid_map, options_.gid_map);
  if (!host_acl.ok()) return host_acl.error();
  const ProcPath path(inode.fd());
  {
    const ScopedKillPriv kill(kill_sgid);
    if (setxattr(path.c_str(), name.c_str(), host_acl->data(), host_acl->size(), flags) != 0) return Errno::Last();
  }
  // The host's kernel has left the bit where the file's group is one of the server's own.
  struct stat st;
  if (kill_sgid && fstat(inode.fd(), &st) == 0 && (st.st_mode & S_ISGID) != 0 &&
      chmod(path.c_str(), st.st_mode & 07777 & ~mode_t{S_ISGID}) != 0) {
    return Errno::Last();
  }
  return kOk;
}

Result<std::string> PassthroughFs::GetXattr(const RequestContext& /*ctx*/, NodeId node, const std::string& name) {
  if (!options_.xattr) return Errno(ENOSYS);
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  const Result<std::string> host_name = HostXattrName(name);
  if (!host_name.ok()) return ForGetter(host_name.error());
  const ProcPath path(inode->fd());
  Result<std::string> value = Fetch(
      XATTR_SIZE_MAX, [&](char* to, size_t size) { return getxattr(path.c_str(), host_name->c_str(), to, size); });
  if (!IsPosixAclName(*host_name)) return value;
  // A file system without ACLs, mounted below the share: the client, which must know whether there is one before it
  // lets anybody in, would take the error for its answer.
  if (!value.ok()) return value.error() == Errno(EOPNOTSUPP) ? Errno(ENODATA) : value.error();
  return AclToGuest(*value, options_.uid_map, options_.gid_map);
}

// Linux passes the list on as it is (fs/fuse/xattr.c, 6.1), so that what a caller may not see is left out here: names
// of trusted.* are for CAP_SYS_ADMIN only on a local file system, of which this server knows no more than the uid.
Result<std::string> PassthroughFs::ListXattr(const RequestContext& ctx, NodeId node) {
  if (!options_.xattr) return Errno(ENOSYS);
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  const ProcPath path(inode->fd());
  const Result<std::string> host_names =
      Fetch(XATTR_LIST_MAX, [&](char* to, size_t size) { return listxattr(path.c_str(), to, size); });
  if (!host_names.ok()) return host_names.error();
  std::string names;
  for (absl::string_view rest = *host_names; !rest.empty();) {
    const absl::string_view host_name = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(host_name.size() + 1, rest.size()));
    const std::optional<std::string> name = options_.xattr_map.ToGuest(host_name);
    if (!name.has_value() || (ctx.uid != 0 && absl::StartsWith(*name, "trusted."))) continue;
    // Also drops a name that would lead elsewhere.
    const Result<std::string> back = HostXattrName(*name);
    if (back.ok() && *back == host_name) names.append(*name).push_back('\0');
  }
  return names;
}

Errno PassthroughFs::RemoveXattr(const RequestContext& /*ctx*/, NodeId node, const std::string& name) {
  if (!options_.xattr) return Errno(ENOSYS);
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  if (options_.read_only) return Errno(EROFS);
  const Result<std::string> host_name = HostXattrName(name);
  if (!host_name.ok()) return host_name.error();
  if (removexattr(ProcPath(inode->fd()).c_str(), host_name->c_str()) != 0) return Errno::Last();
  (*inode)->facts.ForgetCapability();
  return kOk;
}

}  // namespace daxvmm::fs
