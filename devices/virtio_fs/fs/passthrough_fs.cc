#include "devices/virtio_fs/fs/passthrough_fs.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "base/status.h"
#include "devices/virtio_fs/fs/posix_acl.h"
#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {

using fuse::Errno;
using fuse::Result;

namespace {

// Whoever says "always" wants no more questions; a day is what other servers of FUSE take for it.
absl::Duration DefaultTimeout(CacheMode cache) {
  switch (cache) {
    case CacheMode::kNever:
      return absl::ZeroDuration();
    case CacheMode::kAlways:
    case CacheMode::kMetadata:
      return absl::Hours(24);
    case CacheMode::kAuto:
      break;
  }
  return absl::Seconds(1);
}

// The INIT flags that make the client cache as much as it is to, and no more.
uint64_t CacheFlags(CacheMode cache) {
  switch (cache) {
    case CacheMode::kAuto:
      return FUSE_AUTO_INVAL_DATA;
    case CacheMode::kAlways:
      return FUSE_CACHE_SYMLINKS | FUSE_NO_OPENDIR_SUPPORT;
    case CacheMode::kNever:
      // What is mapped shared is cached all the same, and goes when the file has changed.
      return FUSE_AUTO_INVAL_DATA | fuse::kDirectIoAllowMmap;
    case CacheMode::kMetadata:
      break;
  }
  return fuse::kDirectIoAllowMmap;
}

timespec ValidFor(std::optional<absl::Duration> wanted, CacheMode cache) {
  return absl::ToTimespec(wanted.value_or(DefaultTimeout(cache)));
}

// Whether the guest's ACLs can be the host's: its file system has them, and no rule leads their names elsewhere.
bool CanServeAcls(const ShareOptions& options, int root) {
  if (!options.xattr || !options.posix_acl) return false;
  for (const char* name : {kAccessAcl, kDefaultAcl}) {
    const Result<std::string> host_name = options.xattr_map.ToHost(name);
    if (!host_name.ok() || *host_name != name) return false;
    if (getxattr(ProcPath(root).c_str(), name, nullptr, 0) < 0 && errno != ENODATA) return false;
  }
  return true;
}

// Whether this process may store the guest's labels: a client that sends them could make nothing where it may not.
bool CanLabel(const ShareOptions& options) {
  if (!options.xattr) return false;
  const Result<std::string> name = options.xattr_map.ToHost("security.selinux");
  return name.ok() && (geteuid() == 0 || absl::StartsWith(*name, "user."));
}

}  // namespace

absl::StatusOr<PassthroughFs::Bounds> PassthroughFs::BoundsOf(const ShareOptions& options) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return ErrnoStatus(errno, "RLIMIT_NOFILE");
  const uint64_t most =
      std::max<uint64_t>(16, options.max_descriptors != 0 ? options.max_descriptors : limit.rlim_cur / 4 * 3);
  // For what requests open while they run.
  const uint64_t reserve = std::clamp<uint64_t>(most / 8, 4, 512);
  const uint64_t handles = (most - reserve) / 3;
  // Opening by handle costs a few microseconds: what more descriptors would save is not worth the inodes and names
  // that each of them keeps in the host's memory.
  constexpr uint64_t kMostIdle = 2560;
  return Bounds{.inodes = {.max_nodes = options.max_nodes != 0 ? options.max_nodes : uint64_t{1} << 20,
                           .max_descriptors = most - reserve - handles,
                           .max_idle_descriptors = kMostIdle},
                .handles = handles};
}

absl::StatusOr<std::unique_ptr<PassthroughFs>> PassthroughFs::Create(const ShareOptions& options,
                                                                     fuse::InodeObserver* observer) {
  ASSIGN_OR_RETURN(UniqueFd root, OpenShareRoot(options.path));
  const Result<struct statx> stx = StatInode(root.get());
  if (!stx.ok()) return ErrnoStatus(stx.error().value(), options.path);
  ASSIGN_OR_RETURN(const Bounds bounds, BoundsOf(options));
  return std::unique_ptr<PassthroughFs>(new PassthroughFs(options, observer, std::move(root), *stx, bounds));
}

PassthroughFs::PassthroughFs(const ShareOptions& options, fuse::InodeObserver* observer, UniqueFd root,
                             const struct statx& root_stat, const Bounds& bounds)
    : options_(options),
      attr_valid_(ValidFor(options.attr_timeout, options.cache)),
      entry_valid_(ValidFor(options.entry_timeout, options.cache)),
      own_umask_(ThreadsMayHaveTheirOwnUmask()),
      posix_acl_(own_umask_ && CanServeAcls(options, root.get())),
      can_label_(CanLabel(options)),
      observer_(observer),
      dax_hints_(options.dax_hint_store),
      inodes_(std::move(root), root_stat, bounds.inodes),
      handles_(bounds.handles) {}

absl::Duration PassthroughFs::LongestTimeout(const ShareOptions& options) {
  return std::max(absl::DurationFromTimespec(ValidFor(options.attr_timeout, options.cache)),
                  absl::DurationFromTimespec(ValidFor(options.entry_timeout, options.cache)));
}

uint64_t PassthroughFs::optional_init_flags() const {
  uint64_t flags = fuse::kCreateSuppGroup | CacheFlags(options_.cache);
  if (options_.writeback) flags |= FUSE_WRITEBACK_CACHE;
  // Goes without ACLs, too: the host may have given a directory a default ACL.
  if (own_umask_) flags |= FUSE_DONT_MASK;
  if (posix_acl_) flags |= uint64_t{FUSE_POSIX_ACL} | FUSE_SETXATTR_EXT;
  if (options_.announce_submounts) flags |= FUSE_SUBMOUNTS;
  if (can_label_) flags |= FUSE_SECURITY_CTX;
  return flags;
}

void PassthroughFs::Init(uint64_t flags) { session_flags_.store(flags, std::memory_order_relaxed); }

void PassthroughFs::Destroy() {
  handles_.Clear();
  for (const InodePtr& inode : inodes_.Clear()) {
    if (observer_ != nullptr) observer_->Forgotten(inode->ForObserver(), 0, /*last=*/true);
  }
}

void PassthroughFs::Forget(NodeId node, uint64_t count) {
  const InodeTable::Forgotten forgotten = inodes_.Forget(node, count);
  if (forgotten.inode == nullptr || observer_ == nullptr) return;
  observer_->Forgotten(forgotten.inode->ForObserver(), count, forgotten.last);
}

void PassthroughFs::TakeBack(NodeId node) {
  const InodeTable::Forgotten forgotten = inodes_.Forget(node, 1);
  if (forgotten.inode == nullptr || observer_ == nullptr) return;
  observer_->Undelivered(forgotten.inode->ForObserver());
  if (forgotten.last) observer_->Forgotten(forgotten.inode->ForObserver(), 0, /*last=*/true);
}

Result<UniqueFd> PassthroughFs::OpenForMapping(NodeId node, bool writable) {
  const Result<PinnedInode> inode = inodes_.Pin(node);
  if (!inode.ok()) return inode.error();
  if (!(*inode)->is_regular()) return Errno(EINVAL);
  if (writable && options_.read_only) return Errno(EROFS);
  // O_NONBLOCK: a lease that someone holds on the file must not stall the fault of a guest.
  Result<UniqueFd> fd = Reopen(inode->fd(), S_IFREG, (writable ? O_RDWR : O_RDONLY) | O_NONBLOCK);
  if (!fd.ok() && fd.error() == Errno(EAGAIN)) return Errno(EIO);
  return fd;
}

Result<PinnedInode> PassthroughFs::FindDirectory(NodeId node) const {
  Result<PinnedInode> inode = inodes_.Pin(node);
  if (inode.ok() && !(*inode)->is_directory()) return Errno(ENOTDIR);
  return inode;
}

Result<PinnedInode> PassthroughFs::FindWritableDirectory(NodeId node) const {
  Result<PinnedInode> inode = FindDirectory(node);
  if (inode.ok() && options_.read_only) return Errno(EROFS);
  return inode;
}

Result<std::shared_ptr<Handle>> PassthroughFs::FindFile(FileHandle fh, NodeId node) const {
  std::shared_ptr<Handle> handle = handles_.Find(fh, node);
  if (handle == nullptr || !handle->inode()->is_regular()) return Errno(EBADF);
  return handle;
}

Result<std::shared_ptr<Handle>> PassthroughFs::FindOpenDirectory(FileHandle fh, NodeId node) const {
  std::shared_ptr<Handle> handle = handles_.Find(fh, node);
  if (handle == nullptr || !handle->inode()->is_directory()) return Errno(EBADF);
  return handle;
}

}  // namespace daxvmm::fs
