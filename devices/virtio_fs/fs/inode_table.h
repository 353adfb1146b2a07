// The inodes that the guest holds references to, by node id and by what they are on the host.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_TABLE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_TABLE_H_

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "devices/virtio_fs/fs/cached_facts.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

// What an inode is on the host. Reuse of inode numbers cannot mix two files up: a key is in the table only as long as a
// descriptor pins its inode. The mount tells apart what bind mounts show twice.
struct InodeKey {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t mount = 0;
  bool operator==(const InodeKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const InodeKey& k) {
    return H::combine(std::move(h), k.device, k.inode, k.mount);
  }
};

InodeKey KeyOf(const struct statx& stx);

// statx(2) of an O_PATH descriptor, with the mount id.
fuse::Result<struct statx> StatInode(int fd);

// One live inode. Shared, so that a request which runs while the last reference is forgotten keeps what it needs.
class Inode {
 public:
  Inode(NodeId id, const InodeKey& key, mode_t type, UniqueFd fd)
      : id_(id), key_(key), type_(type & S_IFMT), fd_(std::move(fd)) {}

  NodeId id() const { return id_; }
  const InodeKey& key() const { return key_; }
  int fd() const { return fd_.get(); }  // O_PATH
  bool is_regular() const { return S_ISREG(type_); }
  bool is_directory() const { return S_ISDIR(type_); }

  // Statistics, and the greatest size that the guest was told of: relaxed atomics, nothing is ordered by them.
  std::atomic<uint64_t> reads{0};
  std::atomic<uint64_t> writes{0};
  std::atomic<uint64_t> open_handles{0};
  std::atomic<uint64_t> known_size{0};
  CachedFacts facts;

  // Whether the file is as it was at the last call: what the guest has cached of it may stay. False the first time,
  // and where the last change was so recent that a further one might carry the same time stamps.
  bool UnchangedSinceLastOpen(const struct statx& stx);

 private:
  struct Stamp {
    uint64_t size = 0;
    int64_t mtime_s = 0, ctime_s = 0;
    uint32_t mtime_ns = 0, ctime_ns = 0;
    bool operator==(const Stamp&) const = default;
  };

  const NodeId id_;
  const InodeKey key_;
  const mode_t type_;
  const UniqueFd fd_;
  Mutex mu_;
  std::optional<Stamp> last_open_ ABSL_GUARDED_BY(mu_);
};

// A live inode together with a descriptor of it, for the length of a request. Movable; used by one thread.
class PinnedInode {
 public:
  // `fd` is one that `inode` itself holds.
  PinnedInode(std::shared_ptr<Inode> inode, int fd) : inode_(std::move(inode)), fd_(fd) {}

  int fd() const { return fd_; }  // O_PATH, or open for I/O
  Inode& operator*() const { return *inode_; }
  Inode* operator->() const { return inode_.get(); }
  const std::shared_ptr<Inode>& shared() const { return inode_; }

 private:
  std::shared_ptr<Inode> inode_;
  int fd_;
};

// Any thread may call any method. Node ids are never used twice.
class InodeTable {
 public:
  // `max_nodes` bounds the table, and with it the descriptors that a guest can make this process hold.
  InodeTable(UniqueFd root, const struct statx& root_stat, uint64_t max_nodes);

  const std::shared_ptr<Inode>& root() const { return root_; }
  // nullptr if the guest holds no reference to `id`.
  std::shared_ptr<Inode> Find(NodeId id) const;
  // The same with a descriptor. ENOENT if the guest holds no reference to `id`.
  fuse::Result<PinnedInode> Pin(NodeId id) const;
  std::shared_ptr<Inode> FindByKey(const InodeKey& key) const;

  struct Acquired {
    PinnedInode inode;
    bool first = false;  // the lookup count went from 0 to 1
  };
  // Takes one lookup reference to the inode that `fd` (O_PATH) pins and `stx` describes; `parent` and `name` say where
  // it was found, if it is new. ENFILE if the table is full.
  fuse::Result<Acquired> Acquire(UniqueFd fd, const struct statx& stx, NodeId parent, const std::string& name);

  // Gives `count` lookup references back. True if that was the last one, so that the id is gone. More than the guest
  // holds is counted, and takes what there is. The root stays.
  bool Forget(NodeId id, uint64_t count);
  uint64_t over_forgets() const { return over_forgets_.load(std::memory_order_relaxed); }

  // Forgets all but the root; the ids that are gone.
  std::vector<NodeId> Clear();

  // The inode of that key, if live, is now `name` in `parent`.
  void Moved(const InodeKey& key, NodeId parent, const std::string& name);

  struct Named {
    std::shared_ptr<Inode> inode;
    std::string path;  // below the root, "." for the root itself; begins with "?/" where an ancestor is not live
  };
  // All live inodes. Holds the lock for a bounded number of entries at a time, so the list is not one moment's.
  std::vector<Named> List() const;
  size_t size() const;

 private:
  struct Entry {
    std::shared_ptr<Inode> inode;
    uint64_t lookups = 0;
    NodeId parent;
    std::string name;
  };
  const uint64_t max_nodes_;
  const std::shared_ptr<Inode> root_;
  std::atomic<uint64_t> over_forgets_{0};
  mutable Mutex mu_;
  NodeId next_id_ ABSL_GUARDED_BY(mu_);
  // Ordered, so that List can go on where it released the lock.
  absl::btree_map<NodeId, Entry> by_id_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<InodeKey, NodeId> by_key_ ABSL_GUARDED_BY(mu_);
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_TABLE_H_
