// An inode that the guest holds references to, and what a request holds of it.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_H_

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/unique_fd.h"
#include "base/units.h"
#include "devices/virtio_fs/fs/cached_facts.h"
#include "devices/virtio_fs/fs/host_handle.h"
#include "devices/virtio_fs/fuse/inode_observer.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// Where an inode is on the host. The mount tells apart what bind mounts show twice. A number can come again for another
// file as soon as nothing holds the first: a key alone says who is who only while a descriptor pins the inode.
struct InodeKey {
  uint64_t inode = 0;
  uint32_t device = 0;  // major and minor as the kernel packs them: 12 and 20 bits
  uint32_t mount = 0;
  bool operator==(const InodeKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const InodeKey& k) {
    return H::combine(std::move(h), k.inode, k.device, k.mount);
  }
};

InodeKey KeyOf(const struct statx& stx);
// A number for the observer, which is to mean nothing else.
constexpr uint64_t HostIdentityOf(const InodeKey& key) {
  return (key.inode + (uint64_t{key.device} << 32)) * 0x9e3779b97f4a7c15;
}

// statx(2) of an O_PATH descriptor, with the mount id.
fuse::Result<struct statx> StatInode(int fd);

// A descriptor that the table may drop while a request goes on with it.
using SharedFd = std::shared_ptr<const UniqueFd>;

// One live inode. Counted, so that a request which runs while the last reference is forgotten keeps what it needs.
// There may be a million: each byte counts.
class Inode {
 public:
  Inode(NodeId id, const InodeKey& key, mode_t type, HostHandle handle)
      : id_(id), key_(key), type_(static_cast<uint16_t>(type & S_IFMT)), handle_(std::move(handle)) {}
  Inode(const Inode&) = delete;
  Inode& operator=(const Inode&) = delete;

  NodeId id() const { return id_; }
  const InodeKey& key() const { return key_; }
  mode_t type() const { return type_; }
  bool is_regular() const { return S_ISREG(type_); }
  bool is_directory() const { return S_ISDIR(type_); }
  // Not valid where the inode can only be held by a descriptor.
  const HostHandle& handle() const { return handle_; }

  // Statistics, and the greatest size that the guest was told of: relaxed atomics, nothing is ordered by them.
  std::atomic<uint64_t> reads{0};
  std::atomic<uint64_t> writes{0};
  std::atomic<uint64_t> known_size{0};
  CachedFacts facts;
  std::atomic<uint32_t> open_handles{0};
  fuse::ObserverSlot observed;  // the observer's own

  fuse::ObservedInode ForObserver() { return {id_, HostIdentityOf(key_), observed}; }

  // Whether the file is as it was at the last call: what the guest has cached of it may stay. False the first time,
  // and where the last change was so recent that a further one might carry the same time stamps.
  bool UnchangedSinceLastOpen(const struct statx& stx);

 private:
  friend class InodePtr;
  friend class InodeTable;
  friend class HeldDescriptors;
  static constexpr uint32_t kNotHeld = UINT32_MAX;

  std::atomic<uint32_t> uses_{0};
  const NodeId id_;
  const InodeKey key_;
  std::atomic<uint64_t> last_open_{0};  // a hash of size and times; 0: none

  // The table's, under its lock.
  uint64_t lookups_ = 0;  // 0: the guest has forgotten it
  NodeId parent_;
  std::unique_ptr<char[]> name_;
  uint32_t held_ = kNotHeld;  // where HeldDescriptors keeps its descriptor

  const uint16_t type_;
  const HostHandle handle_;
};

// A use of an inode; null at first. The count stands in the inode itself: a shared_ptr would take as much again.
class InodePtr {
 public:
  InodePtr() = default;
  InodePtr(std::nullptr_t) {}  // NOLINT: as any pointer
  explicit InodePtr(Inode* inode) : inode_(inode) {
    if (inode_ != nullptr) inode_->uses_.fetch_add(1, std::memory_order_relaxed);
  }
  InodePtr(const InodePtr& other) : InodePtr(other.inode_) {}
  InodePtr(InodePtr&& other) noexcept : inode_(std::exchange(other.inode_, nullptr)) {}
  InodePtr& operator=(InodePtr other) noexcept {
    std::swap(inode_, other.inode_);
    return *this;
  }
  ~InodePtr() {
    if (inode_ != nullptr && inode_->uses_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete inode_;
  }

  Inode* get() const { return inode_; }
  Inode& operator*() const { return *inode_; }
  Inode* operator->() const { return inode_; }
  bool operator==(const InodePtr&) const = default;
  bool operator==(std::nullptr_t) const { return inode_ == nullptr; }

 private:
  Inode* inode_ = nullptr;
};

// One time that an inode is open. Move-only.
class OpenInode {
 public:
  explicit OpenInode(InodePtr inode) : inode_(std::move(inode)) {
    inode_->open_handles.fetch_add(1, std::memory_order_relaxed);
  }
  OpenInode(OpenInode&&) = default;
  OpenInode& operator=(OpenInode&&) = delete;
  ~OpenInode() {
    if (inode_ != nullptr) inode_->open_handles.fetch_sub(1, std::memory_order_relaxed);
  }

  const InodePtr& inode() const { return inode_; }

 private:
  InodePtr inode_;
};

// A live inode together with a descriptor of it, for the length of a request. Movable; used by one thread.
class PinnedInode {
 public:
  PinnedInode(InodePtr inode, SharedFd fd) : inode_(std::move(inode)), fd_(std::move(fd)) {}

  int fd() const { return fd_->get(); }  // O_PATH
  Inode& operator*() const { return *inode_; }
  Inode* operator->() const { return inode_.get(); }
  const InodePtr& shared() const { return inode_; }

 private:
  friend class InodeTable;
  InodePtr inode_;
  SharedFd fd_;
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_H_
