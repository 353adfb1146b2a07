// Attributes: the one function that fills them, GETATTR, SETATTR, STATFS.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "devices/virtio_fs/fs/cached_facts.h"
#include "devices/virtio_fs/fs/credentials.h"
#include "devices/virtio_fs/fs/host_facts.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::kOk;
using fuse::Result;

// The kernel's 32-bit device number on the wire (new_encode_dev, include/linux/kdev_t.h).
uint32_t EncodeDevice(uint32_t major, uint32_t minor) {
  return (minor & 0xff) | (major << 8) | ((minor & ~uint32_t{0xff}) << 12);
}

// `stx` is what the inode's descriptor has just said.
bool CarriesSecurityCapability(const PinnedInode& inode, const struct statx& stx) {
  if (const std::optional<bool> known = inode->facts.CapabilityAsOf(stx.stx_ctime); known.has_value()) return *known;
  const bool settled = IsSettled(stx.stx_ctime);
  const bool present = HasSecurityCapabilityNow(inode.fd());
  inode->facts.NoteCapability(stx.stx_ctime, settled, present);
  return present;
}

timespec TimeToSet(uint32_t valid, uint32_t explicit_bit, uint32_t now_bit, uint64_t seconds, uint32_t nanoseconds) {
  if ((valid & explicit_bit) == 0) return {0, UTIME_OMIT};
  if ((valid & now_bit) != 0) return {0, UTIME_NOW};
  return {static_cast<time_t>(seconds), static_cast<long>(nanoseconds)};
}

Errno SetOwner(const PinnedInode& inode, const fuse_setattr_in& in, const ShareOptions& options) {
  constexpr uint32_t kLeave = UINT32_MAX;
  // An explicit -1 is no id: fchownat would silently leave the owner as it is.
  if ((in.valid & FATTR_UID) != 0 && in.uid == kLeave) return Errno(EINVAL);
  if ((in.valid & FATTR_GID) != 0 && in.gid == kLeave) return Errno(EINVAL);
  const std::optional<uint32_t> uid = (in.valid & FATTR_UID) != 0 ? options.uid_map.ToHost(in.uid) : kLeave;
  const std::optional<uint32_t> gid = (in.valid & FATTR_GID) != 0 ? options.gid_map.ToHost(in.gid) : kLeave;
  if (!uid.has_value() || !gid.has_value()) return Errno(EOVERFLOW);
  return fchownat(inode.fd(), "", *uid, *gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0 ? kOk : Errno::Last();
}

Errno SetMode(const PinnedInode& inode, mode_t mode) {
  return chmod(ProcPath(inode.fd()).c_str(), mode & 07777) == 0 ? kOk : Errno::Last();
}

Errno SetTimes(const PinnedInode& inode, const fuse_setattr_in& in) {
  // The kernel's markers (UTIME_NOW, UTIME_OMIT) are nanosecond values out of range: the guest must not send its own.
  if (in.atimensec > 999'999'999 || in.mtimensec > 999'999'999) return Errno(EINVAL);
  const timespec times[2] = {TimeToSet(in.valid, FATTR_ATIME, FATTR_ATIME_NOW, in.atime, in.atimensec),
                             TimeToSet(in.valid, FATTR_MTIME, FATTR_MTIME_NOW, in.mtime, in.mtimensec)};
  return utimensat(AT_FDCWD, ProcPath(inode.fd()).c_str(), times, 0) == 0 ? kOk : Errno::Last();
}

// Through the handle if there is one: it may be writable where the file's mode no longer is.
Errno SetSize(const PinnedInode& inode, const Handle* handle, const fuse_setattr_in& in, gid_t group) {
  if (in.size > INT64_MAX) return Errno(EFBIG);
  const off_t size = static_cast<off_t>(in.size);
  const ScopedKillPriv kill((in.valid & FATTR_KILL_SUIDGID) != 0, inode.fd(), group);
  if (handle != nullptr) return ftruncate(handle->fd(), size) == 0 ? kOk : Errno::Last();
  const Result<UniqueFd> fd = Reopen(inode.fd(), S_IFREG, O_WRONLY);
  if (!fd.ok()) return fd.error();
  return ftruncate((*fd).get(), size) == 0 ? kOk : Errno::Last();
}

}  // namespace

fuse_attr PassthroughFs::MakeAttr(const fuse::RequestContext& ctx, const PinnedInode& inode, const struct statx& stx,
                                  fuse::AttrReply reply) const {
  fuse_attr attr = {};
  attr.ino = stx.stx_ino;
  attr.size = stx.stx_size;
  attr.blocks = stx.stx_blocks;
  attr.atime = static_cast<uint64_t>(stx.stx_atime.tv_sec);
  attr.atimensec = stx.stx_atime.tv_nsec;
  attr.mtime = static_cast<uint64_t>(stx.stx_mtime.tv_sec);
  attr.mtimensec = stx.stx_mtime.tv_nsec;
  attr.ctime = static_cast<uint64_t>(stx.stx_ctime.tv_sec);
  attr.ctimensec = stx.stx_ctime.tv_nsec;
  attr.mode = stx.stx_mode;
  attr.nlink = stx.stx_nlink;
  attr.uid = options_.uid_map.ToGuest(stx.stx_uid);
  attr.gid = options_.gid_map.ToGuest(stx.stx_gid);
  attr.rdev = EncodeDevice(stx.stx_rdev_major, stx.stx_rdev_minor);
  attr.blksize = stx.stx_blksize;
  inode->known_size.store(stx.stx_size, std::memory_order_relaxed);
  if (Granted(FUSE_SUBMOUNTS) && inode->is_directory() && inode->id() != kRootNode &&
      (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) {
    attr.flags |= FUSE_ATTR_SUBMOUNT;
  }
  inode->facts.Seen(stx);
  if (observer_ != nullptr) {
    const auto dax_hint = [&] { return inode->is_regular() && HintOf(inode) != DaxHint::kUnset; };
    const auto security_capability = [&] { return CarriesSecurityCapability(inode, stx); };
    const auto path = [&] { return inodes_.PathOf(*inode); };
    attr.flags |= observer_->AttrFlags(ctx, inode->ForObserver(),
                                       fuse::InodeFacts{.mode = stx.stx_mode,
                                                        .size = ByteCount(stx.stx_size),
                                                        .uid = stx.stx_uid,
                                                        .gid = stx.stx_gid,
                                                        .huge_pages = IsInHugePages(inode, stx.stx_blksize),
                                                        .dax_hint = dax_hint,
                                                        .security_capability = security_capability,
                                                        .path = path},
                                       reply);
  }
  return attr;
}

Result<fuse_attr_out> PassthroughFs::AttrOut(const fuse::RequestContext& ctx, const PinnedInode& inode,
                                             fuse::AttrReply reply) const {
  const Result<struct statx> stx = StatInode(inode.fd());
  if (!stx.ok()) return stx.error();
  fuse_attr_out out = {};
  out.attr_valid = static_cast<uint64_t>(attr_valid_.tv_sec);
  out.attr_valid_nsec = static_cast<uint32_t>(attr_valid_.tv_nsec);
  out.attr = MakeAttr(ctx, inode, *stx, reply);
  return out;
}

Result<fuse_attr_out> PassthroughFs::GetAttr(const fuse::RequestContext& ctx, NodeId node,
                                             std::optional<FileHandle> /*fh*/) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  // A handle is open on the same inode: it could say nothing else.
  return AttrOut(ctx, *inode, fuse::AttrReply::kGetAttr);
}

Result<fuse_attr_out> PassthroughFs::SetAttr(const fuse::RequestContext& ctx, NodeId node, const fuse_setattr_in& in) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  if (options_.read_only) return Errno(EROFS);
  std::shared_ptr<Handle> handle;
  if ((in.valid & FATTR_FH) != 0) {
    Result<std::shared_ptr<Handle>> found = FindFile(FileHandle(in.fh), node);
    if (!found.ok()) return found.error();
    handle = *std::move(found);
  }
  // Owner before mode: chown(2) clears the set-id bits that the new mode may bring. Times last: truncation sets them.
  Errno error;
  if (error.ok() && (in.valid & (FATTR_UID | FATTR_GID)) != 0) error = SetOwner(*inode, in, options_);
  if (error.ok() && (in.valid & FATTR_MODE) != 0) error = SetMode(*inode, in.mode);
  if (error.ok() && (in.valid & FATTR_SIZE) != 0) error = SetSize(*inode, handle.get(), in, HostGroupOf(ctx));
  if (error.ok() && (in.valid & (FATTR_ATIME | FATTR_MTIME)) != 0) error = SetTimes(*inode, in);
  if (!error.ok()) return error;
  return AttrOut(ctx, *inode, fuse::AttrReply::kSetAttr);
}

std::optional<bool> PassthroughFs::HasSecurityCapability(NodeId node) const {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok() || !(*inode)->is_regular()) return std::nullopt;
  const Result<struct statx> stx = StatInode(inode->fd());
  if (!stx.ok()) return std::nullopt;
  return CarriesSecurityCapability(*inode, *stx);
}

// What file_remove_privs of the kernel does in a write: the set-id bits unless the caller has CAP_FSETID, which only
// the guest's root is taken to have, and the capability always.
Errno PassthroughFs::DropPrivilegesBeforeStores(const fuse::RequestContext& ctx, NodeId node) {
  if (options_.read_only) return kOk;  // the mapping itself is refused
  const InodePtr live = inodes_.Find(node);
  if (live == nullptr || !live->is_regular() || !live->facts.MayHavePrivileges()) return kOk;
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return kOk;
  const Result<struct statx> stx = StatInode(inode->fd());
  if (!stx.ok()) return stx.error();
  live->facts.Seen(*stx);
  const ProcPath path(inode->fd());
  if (CarriesSecurityCapability(*inode, *stx)) {
    if (removexattr(path.c_str(), kSecurityCapability) != 0 && errno != ENODATA) return Errno::Last();
    live->facts.ForgetCapability();
  }
  if (fuse::IsSetId(stx->stx_mode) && ctx.uid != 0) {
    const mode_t kept = stx->stx_mode & ~(S_ISUID | ((stx->stx_mode & S_IXGRP) != 0 ? S_ISGID : 0));
    if (const Errno error = SetMode(*inode, kept); !error.ok()) return error;
  }
  return kOk;
}

// Linux asks only where it does not check itself (without default_permissions), and then by the caller's ids: the
// caller's supplementary groups and capabilities are the guest's knowledge, but for root's.
Errno PassthroughFs::Access(const fuse::RequestContext& ctx, NodeId node, uint32_t mask) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  if ((mask & ~uint32_t{R_OK | W_OK | X_OK}) != 0) return Errno(EINVAL);
  if ((mask & W_OK) != 0 && options_.read_only) {
    const Result<struct statx> stx = StatInode(inode->fd());
    if (!stx.ok()) return stx.error();
    // A device or a FIFO is written to without the file system that its inode is in.
    if (S_ISREG(stx->stx_mode) || S_ISDIR(stx->stx_mode) || S_ISLNK(stx->stx_mode)) return Errno(EROFS);
  }
  HostIdentity who;
  if (ctx.uid != 0) {
    const Result<HostIdentity> mapped = IdentityOf(ctx, *inode);
    if (!mapped.ok()) return mapped.error();
    who = *mapped;
    who.group.reset();
  }
  const ScopedCredentials credentials(who, Powers::kNone);
  if (!credentials.error().ok()) return credentials.error();
  constexpr int kFlags = AT_EMPTY_PATH | AT_EACCESS | AT_SYMLINK_NOFOLLOW;
  return syscall(SYS_faccessat2, inode->fd(), "", mask, kFlags) == 0 ? kOk : Errno::Last();
}

Result<fuse_kstatfs> PassthroughFs::StatFs(const fuse::RequestContext& /*ctx*/, NodeId node) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  struct statfs st;
  if (fstatfs(inode->fd(), &st) != 0) return Errno::Last();
  fuse_kstatfs out = {};
  out.blocks = st.f_blocks;
  out.bfree = st.f_bfree;
  out.bavail = st.f_bavail;
  out.files = st.f_files;
  out.ffree = st.f_ffree;
  out.bsize = static_cast<uint32_t>(st.f_bsize);
  out.namelen = static_cast<uint32_t>(st.f_namelen);
  out.frsize = static_cast<uint32_t>(st.f_frsize);
  return out;
}

}  // namespace daxvmm::fs
