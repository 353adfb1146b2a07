// What the host's side is shown of the inodes that the guest holds.
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_split.h"
#include "devices/virtio_fs/fs/host_facts.h"
#include "devices/virtio_fs/fs/passthrough_fs.h"
#include "devices/virtio_fs/fs/safe_open.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::Result;

LiveNode NodeOf(const PinnedInode& inode, const struct statx& stx, std::string path) {
  return LiveNode{.node = inode->id(),
                  .path = std::move(path),
                  .dax_hint_in_memory = inode->facts.dax_hint() == DaxHint::kSetInMemory,
                  .mode = stx.stx_mode,
                  .size = ByteCount(stx.stx_size),
                  .uid = stx.stx_uid,
                  .gid = stx.stx_gid,
                  .huge_pages = IsInHugePages(inode, stx.stx_blksize),
                  .open_handles = inode->open_handles.load(std::memory_order_relaxed),
                  .reads = inode->reads.load(std::memory_order_relaxed),
                  .writes = inode->writes.load(std::memory_order_relaxed),
                  .inode = inode.shared()};
}

}  // namespace

std::vector<LiveNode> PassthroughFs::ListLiveNodes() const {
  std::vector<InodeTable::Named> named = inodes_.List();
  std::vector<LiveNode> nodes;
  nodes.reserve(named.size());
  for (InodeTable::Named& entry : named) {
    const Result<PinnedInode> pinned = inodes_.Peek(entry.inode);
    if (!pinned.ok()) continue;
    const Result<struct statx> stx = StatInode(pinned->fd());
    if (stx.ok()) nodes.push_back(NodeOf(*pinned, *stx, std::move(entry.path)));
  }
  return nodes;
}

std::optional<LiveNode> PassthroughFs::FindLiveNode(NodeId node) const {
  const InodePtr inode = inodes_.Find(node);
  if (inode == nullptr) return std::nullopt;
  const Result<PinnedInode> pinned = inodes_.Peek(inode);
  if (!pinned.ok()) return std::nullopt;
  const Result<struct statx> stx = StatInode(pinned->fd());
  if (!stx.ok()) return std::nullopt;
  return NodeOf(*pinned, *stx, inodes_.ShownPathOf(*inode));
}

std::optional<LiveNode> PassthroughFs::FindLiveNode(absl::string_view path) const {
  NodeId found;
  bool any = false;
  inodes_.Visit([&](const InodePtr& inode) {
    if (any) return;
    const std::optional<std::string> at = inodes_.PathOf(*inode);
    any = at.has_value() && absl::string_view(*at) == path;
    if (any) found = inode->id();
  });
  return any ? FindLiveNode(found) : std::nullopt;
}

Result<PassthroughFs::FileAtPath> PassthroughFs::LookAtPath(absl::string_view path) const {
  Result<UniqueFd> fd = PathDescriptor(inodes_.root_fd());
  if (path != ".") {
    for (const absl::string_view name : absl::StrSplit(path, '/')) {
      if (!fd.ok()) return fd.error();
      fd = OpenChild((*fd).get(), std::string(name));
    }
  }
  if (!fd.ok()) return fd.error();
  const Result<struct statx> stx = StatInode((*fd).get());
  if (!stx.ok()) return stx.error();
  FileAtPath file;
  file.identity = HostIdentityOf(KeyOf(*stx));
  file.node.path = std::string(path);
  file.node.mode = stx->stx_mode;
  file.node.size = ByteCount(stx->stx_size);
  file.node.uid = stx->stx_uid;
  file.node.gid = stx->stx_gid;
  if (!S_ISREG(stx->stx_mode)) return file;
  file.node.huge_pages = SaysHugePages((*fd).get(), stx->stx_blksize);
  file.dax_hint = dax_hints_.Get((*fd).get(), S_IFREG) != DaxHint::kUnset;
  file.security_capability = HasSecurityCapabilityNow((*fd).get());
  return file;
}

void PassthroughFs::VisitLiveFiles(absl::FunctionRef<void(Inode&)> visit) const {
  inodes_.Visit([&visit](const InodePtr& inode) {
    if (inode->is_regular()) visit(*inode);
  });
}

}  // namespace daxvmm::fs
