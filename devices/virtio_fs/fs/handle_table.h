// What the guest has open.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_HANDLE_TABLE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_HANDLE_TABLE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "devices/virtio_fs/fs/inode.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// The position of a directory stream: entries that getdents64(2) gave and that the guest has not taken yet.
struct DirStream {
  std::vector<std::byte> buffer;
  size_t at = 0;             // of the next entry in `buffer`
  uint64_t next_offset = 0;  // READDIR's offset that `at` stands for
};

// One open file or directory. Shared: a RELEASE may race with a request that uses the handle.
class Handle {
 public:
  Handle(OpenInode inode, UniqueFd fd) : inode_(std::move(inode)), fd_(std::move(fd)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  const InodePtr& inode() const { return inode_.inode(); }
  int fd() const { return fd_.get(); }

  Mutex stream_mu;  // held during a READDIR: the descriptor's position is one
  DirStream stream ABSL_GUARDED_BY(stream_mu);

 private:
  const OpenInode inode_;
  const UniqueFd fd_;
};

// Any thread may call any method. Handle numbers are never used twice.
class HandleTable {
 public:
  explicit HandleTable(uint64_t max_handles) : max_handles_(max_handles) {}

  // ENFILE if the table is full.
  fuse::Result<FileHandle> Add(OpenInode inode, UniqueFd fd);
  // The handle, if it is one of `node`'s; else nullptr.
  std::shared_ptr<Handle> Find(FileHandle fh, NodeId node) const;
  bool Remove(FileHandle fh, NodeId node);
  void Clear();
  size_t size() const;

 private:
  const uint64_t max_handles_;
  mutable Mutex mu_;
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  absl::flat_hash_map<FileHandle, std::shared_ptr<Handle>> handles_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_HANDLE_TABLE_H_
