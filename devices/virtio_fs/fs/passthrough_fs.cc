#include "devices/virtio_fs/fs/passthrough_fs.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {

using fuse::Errno;
using fuse::Result;

absl::StatusOr<std::unique_ptr<PassthroughFs>> PassthroughFs::Create(const ShareOptions& options,
                                                                     fuse::InodeObserver* observer) {
  ASSIGN_OR_RETURN(UniqueFd root, OpenShareRoot(options.path));
  const Result<struct statx> stx = StatInode(root.get());
  if (!stx.ok()) return ErrnoStatus(stx.error().value(), options.path);
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return ErrnoStatus(errno, "RLIMIT_NOFILE");
  const uint64_t descriptors = std::max<uint64_t>(limit.rlim_cur, 16);
  const uint64_t max_nodes = options.max_nodes != 0 ? options.max_nodes : descriptors / 2;
  const uint64_t max_handles = options.max_handles != 0 ? options.max_handles : descriptors / 4;
  return std::unique_ptr<PassthroughFs>(
      new PassthroughFs(options, observer, std::move(root), *stx, max_nodes, max_handles));
}

PassthroughFs::PassthroughFs(const ShareOptions& options, fuse::InodeObserver* observer, UniqueFd root,
                             const struct statx& root_stat, uint64_t max_nodes, uint64_t max_handles)
    : options_(options), observer_(observer), inodes_(std::move(root), root_stat, max_nodes), handles_(max_handles) {}

std::vector<LiveNode> PassthroughFs::ListLiveNodes() const {
  std::vector<InodeTable::Named> named = inodes_.List();
  std::vector<LiveNode> nodes;
  nodes.reserve(named.size());
  for (InodeTable::Named& entry : named) {
    const Inode& inode = *entry.inode;
    struct stat st = {};
    if (fstat(inode.fd(), &st) != 0) continue;
    nodes.push_back(LiveNode{.node = inode.id(),
                             .path = std::move(entry.path),
                             .regular = inode.is_regular(),
                             .size = ByteCount(static_cast<uint64_t>(st.st_size)),
                             .open_handles = inode.open_handles.load(std::memory_order_relaxed),
                             .reads = inode.reads.load(std::memory_order_relaxed),
                             .writes = inode.writes.load(std::memory_order_relaxed)});
  }
  return nodes;
}

void PassthroughFs::Init(uint64_t /*flags*/) {}

void PassthroughFs::Destroy() {
  handles_.Clear();
  for (const NodeId node : inodes_.Clear()) {
    if (observer_ != nullptr) observer_->Forgotten(node);
  }
}

void PassthroughFs::Forget(NodeId node, uint64_t count) {
  if (inodes_.Forget(node, count) && observer_ != nullptr) observer_->Forgotten(node);
}

Result<UniqueFd> PassthroughFs::OpenForMapping(NodeId node, bool writable) {
  const std::shared_ptr<Inode> inode = inodes_.Find(node);
  if (inode == nullptr) return Errno(ENOENT);
  if (!inode->is_regular()) return Errno(EINVAL);
  if (writable && options_.read_only) return Errno(EROFS);
  // O_NONBLOCK: a lease that someone holds on the file must not stall the fault of a guest.
  Result<UniqueFd> fd = Reopen(inode->fd(), S_IFREG, (writable ? O_RDWR : O_RDONLY) | O_NONBLOCK);
  if (!fd.ok() && fd.error() == Errno(EAGAIN)) return Errno(EIO);
  return fd;
}

Result<std::shared_ptr<Inode>> PassthroughFs::FindDirectory(NodeId node) const {
  std::shared_ptr<Inode> inode = inodes_.Find(node);
  if (inode == nullptr) return Errno(ENOENT);
  if (!inode->is_directory()) return Errno(ENOTDIR);
  return inode;
}

Result<std::shared_ptr<Inode>> PassthroughFs::FindWritableDirectory(NodeId node) const {
  Result<std::shared_ptr<Inode>> inode = FindDirectory(node);
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
