#include "devices/virtio_fs/fs/handle_table.h"

#include <utility>

namespace daxvmm::fs {

fuse::Result<FileHandle> HandleTable::Add(OpenInode inode, UniqueFd fd) {
  auto handle = std::make_shared<Handle>(std::move(inode), std::move(fd));
  MutexLock lock(&mu_);
  if (handles_.size() >= max_handles_) return fuse::Errno(ENFILE);
  const FileHandle fh(next_++);
  handles_.emplace(fh, std::move(handle));
  return fh;
}

std::shared_ptr<Handle> HandleTable::Find(FileHandle fh, NodeId node) const {
  MutexLock lock(&mu_);
  const auto it = handles_.find(fh);
  if (it == handles_.end() || it->second->inode()->id() != node) return nullptr;
  return it->second;
}

bool HandleTable::Remove(FileHandle fh, NodeId node) {
  std::shared_ptr<Handle> last;  // closes outside of the lock: close(2) may wait for the file system
  MutexLock lock(&mu_);
  const auto it = handles_.find(fh);
  if (it == handles_.end() || it->second->inode()->id() != node) return false;
  last = std::move(it->second);
  handles_.erase(it);
  return true;
}

void HandleTable::Clear() {
  absl::flat_hash_map<FileHandle, std::shared_ptr<Handle>> dropped;
  MutexLock lock(&mu_);
  dropped.swap(handles_);
}

size_t HandleTable::size() const {
  MutexLock lock(&mu_);
  return handles_.size();
}

}  // namespace daxvmm::fs
