#include "devices/virtio_fs/fs/inode_table.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <utility>

namespace daxvmm::fs {
namespace {

using fuse::Errno;

constexpr size_t kListSlice = 512;
constexpr size_t kMaxListedPath = 4096;

}  // namespace

InodeKey KeyOf(const struct statx& stx) {
  return InodeKey{makedev(stx.stx_dev_major, stx.stx_dev_minor), stx.stx_ino,
                  (stx.stx_mask & STATX_MNT_ID) != 0 ? stx.stx_mnt_id : 0};
}

fuse::Result<struct statx> StatInode(int fd) {
  struct statx stx;
  if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_MNT_ID, &stx) != 0) {
    return Errno::Last();
  }
  return stx;
}

bool Inode::UnchangedSinceLastOpen(const struct statx& stx) {
  const Stamp now{stx.stx_size, stx.stx_mtime.tv_sec, stx.stx_ctime.tv_sec, stx.stx_mtime.tv_nsec,
                  stx.stx_ctime.tv_nsec};
  const bool settled = IsSettled(stx.stx_ctime);
  MutexLock lock(&mu_);
  const bool unchanged = last_open_ == now;
  last_open_ = settled ? std::optional<Stamp>(now) : std::nullopt;
  return unchanged;
}

InodeTable::InodeTable(UniqueFd root, const struct statx& root_stat, uint64_t max_nodes)
    : max_nodes_(max_nodes),
      root_(std::make_shared<Inode>(kRootNode, KeyOf(root_stat), root_stat.stx_mode, std::move(root))),
      next_id_(kRootNode.raw() + 1) {
  by_id_.emplace(kRootNode, Entry{root_, 1, kRootNode, ""});
  by_key_.emplace(root_->key(), kRootNode);
}

std::shared_ptr<Inode> InodeTable::Find(NodeId id) const {
  MutexLock lock(&mu_);
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second.inode;
}

fuse::Result<PinnedInode> InodeTable::Pin(NodeId id) const {
  std::shared_ptr<Inode> inode = Find(id);
  if (inode == nullptr) return Errno(ENOENT);
  const int fd = inode->fd();
  return PinnedInode(std::move(inode), fd);
}

std::shared_ptr<Inode> InodeTable::FindByKey(const InodeKey& key) const {
  MutexLock lock(&mu_);
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : by_id_.at(it->second).inode;
}

fuse::Result<InodeTable::Acquired> InodeTable::Acquire(UniqueFd fd, const struct statx& stx, NodeId parent,
                                                       const std::string& name) {
  const InodeKey key = KeyOf(stx);
  // A descriptor that is not kept is closed by the caller's UniqueFd, after the lock is released.
  MutexLock lock(&mu_);
  if (const auto it = by_key_.find(key); it != by_key_.end()) {
    Entry& entry = by_id_.at(it->second);
    ++entry.lookups;
    return Acquired{PinnedInode(entry.inode, entry.inode->fd()), false};
  }
  if (by_id_.size() >= max_nodes_) return Errno(ENFILE);
  const NodeId id = next_id_;
  next_id_ = NodeId(id.raw() + 1);
  auto inode = std::make_shared<Inode>(id, key, stx.stx_mode, std::move(fd));
  by_id_.emplace(id, Entry{inode, 1, parent, name});
  by_key_.emplace(key, id);
  const int held = inode->fd();
  return Acquired{PinnedInode(std::move(inode), held), true};
}

bool InodeTable::Forget(NodeId id, uint64_t count) {
  std::shared_ptr<Inode> last;  // closes its descriptor outside of the lock
  MutexLock lock(&mu_);
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) {
    over_forgets_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (id == kRootNode) return false;
  Entry& entry = it->second;
  if (count > entry.lookups) {
    over_forgets_.fetch_add(1, std::memory_order_relaxed);
    count = entry.lookups;
  }
  entry.lookups -= count;
  if (entry.lookups != 0) return false;
  last = std::move(entry.inode);
  by_key_.erase(last->key());
  by_id_.erase(it);
  return true;
}

std::vector<NodeId> InodeTable::Clear() {
  absl::btree_map<NodeId, Entry> dropped;
  std::vector<NodeId> ids;
  MutexLock lock(&mu_);
  dropped.swap(by_id_);
  by_key_.clear();
  by_id_.emplace(kRootNode, Entry{root_, 1, kRootNode, ""});
  by_key_.emplace(root_->key(), kRootNode);
  for (const auto& [id, entry] : dropped) {
    if (id != kRootNode) ids.push_back(id);
  }
  return ids;
}

void InodeTable::Moved(const InodeKey& key, NodeId parent, const std::string& name) {
  MutexLock lock(&mu_);
  const auto it = by_key_.find(key);
  if (it == by_key_.end() || it->second == kRootNode) return;
  Entry& entry = by_id_.at(it->second);
  entry.parent = parent;
  entry.name = name;
}

std::vector<InodeTable::Named> InodeTable::List() const {
  absl::btree_map<NodeId, Entry> copy;
  NodeId next = kRootNode;
  for (bool more = true; more;) {
    MutexLock lock(&mu_);
    auto it = by_id_.lower_bound(next);
    for (size_t i = 0; i < kListSlice && it != by_id_.end(); ++i, ++it) copy.emplace_hint(copy.end(), *it);
    more = it != by_id_.end();
    if (more) next = it->first;
  }

  std::vector<Named> list;
  list.reserve(copy.size());
  for (const auto& [id, entry] : copy) {
    if (id == kRootNode) {
      list.push_back({entry.inode, "."});
      continue;
    }
    std::string path = entry.name;
    // Bounded: entries copied at different moments may point at each other in a circle.
    for (NodeId at = entry.parent; at != kRootNode;) {
      const auto parent = copy.find(at);
      if (parent == copy.end() || path.size() + parent->second.name.size() > kMaxListedPath) {
        path.insert(0, "?/");
        break;
      }
      path.insert(0, parent->second.name + "/");
      at = parent->second.parent;
    }
    list.push_back({entry.inode, std::move(path)});
  }
  return list;
}

size_t InodeTable::size() const {
  MutexLock lock(&mu_);
  return by_id_.size();
}

}  // namespace daxvmm::fs
