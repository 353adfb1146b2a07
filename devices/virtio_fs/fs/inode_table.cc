#include "devices/virtio_fs/fs/inode_table.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/container/inlined_vector.h"

namespace daxvmm::fs {
namespace {

using fuse::Errno;
using fuse::Result;

constexpr size_t kListSlice = 512;
constexpr size_t kMaxListedPath = 4096;
// How often a place that was made free may be taken by another thread before it is given up.
constexpr int kAttempts = 8;

std::unique_ptr<char[]> CopyOf(absl::string_view name) {
  auto copy = std::make_unique_for_overwrite<char[]>(name.size() + 1);
  memcpy(copy.get(), name.data(), name.size());
  copy[name.size()] = '\0';
  return copy;
}

SharedFd Share(UniqueFd fd) { return std::make_shared<const UniqueFd>(std::move(fd)); }

bool IsUnlinked(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

// A mount for every eighth descriptor, so that mounts cannot take the place of inodes.
uint64_t MostMounts(const InodeLimits& limits) { return limits.max_descriptors / 8 + 1; }

HeldDescriptors BoundedBy(const InodeLimits& limits) {
  const uint64_t mounts = MostMounts(limits);
  const uint64_t most = std::max<uint64_t>(limits.max_descriptors, mounts + 1) - mounts;
  return HeldDescriptors(most, std::min(most, limits.max_idle_descriptors));
}

}  // namespace

InodeTable::InodeTable(UniqueFd root, const struct statx& root_stat, const InodeLimits& limits)
    : max_nodes_(limits.max_nodes),
      max_mounts_(MostMounts(limits)),
      root_fd_(Share(std::move(root))),
      next_id_(kRootNode.raw() + 1),
      held_(BoundedBy(limits)) {
  const InodeKey key = KeyOf(root_stat);
  const SharedFd mount = MountFor(key, root_fd_->get());
  Result<HostHandle> handle = Errno(EOPNOTSUPP);
  if (mount != nullptr) handle = HostHandle::Of(root_fd_->get());
  root_ = InodePtr(new Inode(kRootNode, key, root_stat.stx_mode, handle.ok() ? *std::move(handle) : HostHandle()));
  root_->lookups_ = 1;
  root_->parent_ = kRootNode;
  root_->name_ = CopyOf("");
  MutexLock lock(&mu_);
  InsertLocked(root_, mount);
  held_.Put(root_.get(), root_fd_, /*firm=*/true, /*needed=*/true);
}

Inode* InodeTable::FindLocked(const InodeKey& key) const {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : *it;
}

bool InodeTable::uses_handles() const {
  MutexLock lock(&mu_);
  return mount_descriptors_ != 0;
}

InodePtr InodeTable::Find(NodeId id) const {
  MutexLock lock(&mu_);
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

SharedFd InodeTable::MountFor(const InodeKey& key, int fd) const {
  {
    MutexLock lock(&mu_);
    if (const auto it = mounts_.find(key.mount); it != mounts_.end()) return it->second.fd;
    if (mount_descriptors_ >= max_mounts_) return nullptr;
  }
  Result<UniqueFd> mount = OpenMountForHandles(fd);
  return mount.ok() ? Share(*std::move(mount)) : nullptr;
}

void InodeTable::InsertLocked(const InodePtr& inode, const SharedFd& mount) {
  by_id_.emplace(inode->id(), inode);
  by_key_.insert(inode.get());
  const auto [it, made] = mounts_.try_emplace(inode->key().mount);
  ++it->second.inodes;
  if (!made || mount == nullptr) return;
  it->second.fd = mount;
  ++mount_descriptors_;
}

Result<SharedFd> InodeTable::OpenByHandle(const Inode& inode, const SharedFd& mount) {
  if (mount == nullptr || !inode.handle().valid()) return Errno(ESTALE);
  Result<UniqueFd> fd = inode.handle().Open(mount->get());
  if (!fd.ok()) return fd.error();
  // Only as good as the file system's generations are: what it leads to is looked at.
  const Result<struct statx> stx = StatInode((*fd).get());
  if (!stx.ok()) return stx.error();
  if (KeyOf(*stx) != inode.key() || (stx->stx_mode & S_IFMT) != inode.type()) return Errno(ESTALE);
  return Share(*std::move(fd));
}

void InodeTable::MakeRoom(bool needed) const {
  for (int i = 0; i < kAttempts; ++i) {
    HeldDescriptors::Victim victim;
    {
      MutexLock lock(&mu_);
      if (!held_.Full(needed)) return;
      victim = held_.FindVictim(/*thorough=*/needed);
    }
    if (victim.fd == nullptr) return;
    // A file without a name cannot be opened again.
    const bool unlinked = IsUnlinked(victim.fd->get());
    SharedFd evicted;
    MutexLock lock(&mu_);
    evicted = held_.Evict(victim, unlinked);
    if (evicted != nullptr) return;
  }
}

Result<PinnedInode> InodeTable::Pin(NodeId id) const {
  InodePtr inode;
  SharedFd mount;
  {
    MutexLock lock(&mu_);
    const auto it = by_id_.find(id);
    if (it == by_id_.end()) return Errno(ENOENT);
    inode = it->second;
    if (SharedFd fd = held_.Use(*inode); fd != nullptr) return PinnedInode(std::move(inode), std::move(fd));
    if (const auto at = mounts_.find(inode->key().mount); at != mounts_.end()) mount = at->second.fd;
  }
  Result<SharedFd> opened = OpenByHandle(*inode, mount);
  if (!opened.ok()) return opened.error();
  MakeRoom(/*needed=*/false);
  MutexLock lock(&mu_);
  if (SharedFd fd = held_.Use(*inode); fd != nullptr) return PinnedInode(std::move(inode), std::move(fd));
  if (inode->lookups_ != 0) held_.Put(inode.get(), *opened, /*firm=*/false, /*needed=*/false);
  return PinnedInode(std::move(inode), *std::move(opened));
}

Result<PinnedInode> InodeTable::Peek(const InodePtr& inode) const {
  SharedFd mount;
  {
    MutexLock lock(&mu_);
    if (SharedFd fd = held_.Use(*inode); fd != nullptr) return PinnedInode(inode, std::move(fd));
    if (const auto at = mounts_.find(inode->key().mount); at != mounts_.end()) mount = at->second.fd;
  }
  Result<SharedFd> opened = OpenByHandle(*inode, mount);
  if (!opened.ok()) return opened.error();
  return PinnedInode(inode, *std::move(opened));
}

Result<OpenInode> InodeTable::Open(const PinnedInode& inode) {
  for (int i = 0; i < kAttempts; ++i) {
    {
      MutexLock lock(&mu_);
      // One that is forgotten by now has the guest's handle only, whatever becomes of its name.
      if (inode->lookups_ == 0 || held_.Use(*inode) != nullptr ||
          held_.Put(inode.shared().get(), inode.fd_, /*firm=*/false, /*needed=*/true)) {
        return OpenInode(inode.shared());
      }
    }
    MakeRoom(/*needed=*/true);
  }
  return Errno(ENFILE);
}

std::optional<PinnedInode> InodeTable::PinKnown(UniqueFd fd, const struct statx& stx) {
  const InodeKey key = KeyOf(stx);
  const SharedFd shared = Share(std::move(fd));
  {
    MutexLock lock(&mu_);
    Inode* const inode = FindLocked(key);
    if (inode == nullptr) return std::nullopt;
    if (SharedFd held = held_.Use(*inode); held != nullptr) return PinnedInode(InodePtr(inode), std::move(held));
  }
  const Result<HostHandle> handle = HostHandle::Of(shared->get());
  if (!handle.ok()) return std::nullopt;
  MakeRoom(/*needed=*/true);
  MutexLock lock(&mu_);
  Inode* const inode = FindLocked(key);
  if (inode == nullptr || !(inode->handle() == *handle)) return std::nullopt;
  if (SharedFd held = held_.Use(*inode); held != nullptr) return PinnedInode(InodePtr(inode), std::move(held));
  held_.Put(inode, shared, /*firm=*/false, /*needed=*/true);
  return PinnedInode(InodePtr(inode), shared);
}

Result<InodeTable::Acquired> InodeTable::Acquire(UniqueFd fd, const struct statx& stx, NodeId parent,
                                                 absl::string_view name) {
  const InodeKey key = KeyOf(stx);
  // A descriptor that is not kept is closed after the locks below are released, and so is the one that takes its place.
  const SharedFd shared = Share(std::move(fd));
  {
    MutexLock lock(&mu_);
    Inode* const inode = FindLocked(key);
    // A descriptor pins the number: it is the same file.
    if (SharedFd held = inode != nullptr ? held_.Use(*inode) : nullptr; held != nullptr) {
      ++inode->lookups_;
      return Acquired{PinnedInode(InodePtr(inode), std::move(held)), false};
    }
  }
  const SharedFd mount = MountFor(key, shared->get());
  HostHandle handle;
  if (mount != nullptr) {
    Result<HostHandle> made = HostHandle::Of(shared->get());
    if (made.ok()) {
      handle = *std::move(made);
    } else if (made.error() != Errno(EOPNOTSUPP)) {
      return made.error();
    }
  }
  const bool firm = !handle.valid() || stx.stx_nlink == 0;
  std::unique_ptr<char[]> new_name = CopyOf(name);
  for (int i = 0; i < kAttempts; ++i) {
    MakeRoom(firm);
    MutexLock lock(&mu_);
    if (Inode* const inode = FindLocked(key); inode != nullptr) {
      SharedFd held = held_.Use(*inode);
      if (held != nullptr || (handle.valid() && inode->handle() == handle)) {
        ++inode->lookups_;
        if (held == nullptr) {
          held = shared;
          held_.Put(inode, held, firm, firm);
        }
        return Acquired{PinnedInode(InodePtr(inode), std::move(held)), false};
      }
      by_key_.erase(inode);
    }
    if (by_id_.size() >= max_nodes_) return Errno(ENFILE);
    if (firm && held_.Full(firm)) continue;
    const NodeId id = next_id_;
    next_id_ = NodeId(id.raw() + 1);
    InodePtr inode(new Inode(id, key, stx.stx_mode, std::move(handle)));
    inode->lookups_ = 1;
    inode->parent_ = parent;
    inode->name_ = std::move(new_name);
    held_.Put(inode.get(), shared, firm, firm);
    InsertLocked(inode, mount);
    return Acquired{PinnedInode(std::move(inode), shared), true};
  }
  return Errno(ENFILE);
}

std::vector<SharedFd> InodeTable::RemoveLocked(Inode* inode) {
  std::vector<SharedFd> closing;
  inode->lookups_ = 0;
  if (FindLocked(inode->key()) == inode) by_key_.erase(inode);
  if (SharedFd fd = held_.Remove(inode); fd != nullptr) closing.push_back(std::move(fd));
  const auto mount = mounts_.find(inode->key().mount);
  if (mount != mounts_.end() && --mount->second.inodes == 0) {
    if (mount->second.fd != nullptr) {
      --mount_descriptors_;
      closing.push_back(std::move(mount->second.fd));
    }
    mounts_.erase(mount);
  }
  by_id_.erase(inode->id());
  return closing;
}

InodeTable::Forgotten InodeTable::Forget(NodeId id, uint64_t count) {
  std::vector<SharedFd> closing;  // outside of the lock
  MutexLock lock(&mu_);
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) {
    over_forgets_.fetch_add(1, std::memory_order_relaxed);
    return {};
  }
  if (id == kRootNode) return {};
  Forgotten forgotten{.inode = it->second};
  Inode* const inode = forgotten.inode.get();
  if (count > inode->lookups_) {
    over_forgets_.fetch_add(1, std::memory_order_relaxed);
    count = inode->lookups_;
  }
  inode->lookups_ -= count;
  forgotten.last = inode->lookups_ == 0;
  if (forgotten.last) closing = RemoveLocked(inode);
  return forgotten;
}

std::vector<InodePtr> InodeTable::Clear() {
  std::vector<InodePtr> dropped;
  std::vector<SharedFd> closing;
  MutexLock lock(&mu_);
  dropped.reserve(by_id_.size());
  for (const auto& [id, inode] : by_id_) {
    if (id != kRootNode) dropped.push_back(inode);
  }
  for (const InodePtr& inode : dropped) {
    for (SharedFd& fd : RemoveLocked(inode.get())) closing.push_back(std::move(fd));
  }
  return dropped;
}

InodePtr InodeTable::Moved(const InodeKey& key, NodeId parent, absl::string_view name) {
  std::unique_ptr<char[]> new_name = CopyOf(name);
  MutexLock lock(&mu_);
  Inode* const inode = FindLocked(key);
  if (inode == nullptr || inode == root_.get()) return nullptr;
  inode->parent_ = parent;
  inode->name_.swap(new_name);
  return InodePtr(inode);
}

std::optional<std::string> InodeTable::PathOf(const Inode& inode) const {
  std::string path;
  return CollectPath(inode, &path) ? std::optional(std::move(path)) : std::nullopt;
}

std::string InodeTable::ShownPathOf(const Inode& inode) const {
  std::string path;
  if (CollectPath(inode, &path)) return path;
  return path.empty() ? "?" : "?/" + path;
}

bool InodeTable::CollectPath(const Inode& inode, std::string* path) const {
  if (&inode == root_.get()) {
    *path = ".";
    return true;
  }
  // From the file up; put together in the other order.
  absl::InlinedVector<absl::string_view, 16> names;
  size_t length = 0;
  bool whole = true;
  MutexLock lock(&mu_);
  for (const Inode* at = &inode; whole && at != root_.get();) {
    // Bounded: a guest's renames may leave a circle.
    whole = at->name_ != nullptr && length + absl::string_view(at->name_.get()).size() < kMaxListedPath;
    if (!whole) break;
    names.push_back(at->name_.get());
    length += names.back().size() + 1;
    const auto parent = by_id_.find(at->parent_);
    whole = parent != by_id_.end();
    if (whole) at = parent->second.get();
  }
  path->reserve(length);
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    if (!path->empty()) *path += '/';
    path->append(name->data(), name->size());
  }
  return whole;
}

void InodeTable::Visit(absl::FunctionRef<void(const InodePtr&)> visit) const {
  std::vector<InodePtr> slice;
  NodeId next = kRootNode;
  for (bool more = true; more;) {
    slice.clear();
    {
      MutexLock lock(&mu_);
      auto it = by_id_.lower_bound(next);
      for (size_t i = 0; i < kListSlice && it != by_id_.end(); ++i, ++it) slice.push_back(it->second);
      more = it != by_id_.end();
      if (more) next = it->first;
    }
    for (const InodePtr& inode : slice) visit(inode);
  }
}

std::vector<InodeTable::Named> InodeTable::List() const {
  struct Entry {
    InodePtr inode;
    NodeId parent;
    std::string name;
  };
  std::vector<Entry> copy;  // by id
  NodeId next = kRootNode;
  for (bool more = true; more;) {
    MutexLock lock(&mu_);
    auto it = by_id_.lower_bound(next);
    for (size_t i = 0; i < kListSlice && it != by_id_.end(); ++i, ++it) {
      copy.push_back({it->second, it->second->parent_, it->second->name_.get()});
    }
    more = it != by_id_.end();
    if (more) next = it->first;
  }
  const auto id_of = [](const Entry& entry) { return entry.inode->id(); };

  std::vector<Named> list;
  list.reserve(copy.size());
  for (const Entry& entry : copy) {
    if (entry.inode == root_) {
      list.push_back({entry.inode, "."});
      continue;
    }
    std::string path = entry.name;
    // Bounded: entries copied at different moments may point at each other in a circle.
    for (NodeId at = entry.parent; at != kRootNode;) {
      const auto parent = std::ranges::lower_bound(copy, at, {}, id_of);
      if (parent == copy.end() || id_of(*parent) != at || path.size() + parent->name.size() > kMaxListedPath) {
        path.insert(0, "?/");
        break;
      }
      path.insert(0, parent->name + "/");
      at = parent->parent;
    }
    list.push_back({entry.inode, std::move(path)});
  }
  return list;
}

size_t InodeTable::size() const {
  MutexLock lock(&mu_);
  return by_id_.size();
}

size_t InodeTable::descriptors() const {
  MutexLock lock(&mu_);
  return held_.size() + mount_descriptors_;
}

}  // namespace daxvmm::fs
