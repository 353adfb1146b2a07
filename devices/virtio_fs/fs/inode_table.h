// The inodes that the guest holds references to, by node id and by what they are on the host.
//
// Not every inode has a descriptor (held_descriptors says which have): the others are held by file handle, and opened
// for the length of a request. A descriptor pins its inode's number; an inode held by handle may be gone, and its
// number be another file's. So where a number comes back, handles are compared: if they differ, the file of the old
// node is gone, its id answers ESTALE, and the new file gets an id of its own.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_TABLE_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_TABLE_H_

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "devices/virtio_fs/fs/held_descriptors.h"
#include "devices/virtio_fs/fs/inode.h"
#include "devices/virtio_fs/fuse/result.h"

namespace daxvmm::fs {

struct InodeLimits {
  uint64_t max_nodes = 0;
  // Descriptors that inodes and mounts may hold, the root's included.
  uint64_t max_descriptors = 0;
  // Of these, how many may be there only to save an open.
  uint64_t max_idle_descriptors = 0;
};

// Any thread may call any method. Node ids are never used twice.
class InodeTable {
 public:
  InodeTable(UniqueFd root, const struct statx& root_stat, const InodeLimits& limits);

  const InodePtr& root() const { return root_; }
  // The root's descriptor, O_PATH; valid as long as the table.
  int root_fd() const { return root_fd_->get(); }
  // Whether there are inodes that may be held by handle only.
  bool uses_handles() const;
  // nullptr if the guest holds no reference to `id`.
  InodePtr Find(NodeId id) const;
  // The same with a descriptor. ENOENT if the guest holds no reference to `id`; ESTALE if its file is gone.
  fuse::Result<PinnedInode> Pin(NodeId id) const;
  // A descriptor of an inode without regard to what is used often: for who goes through all of them.
  fuse::Result<PinnedInode> Peek(const InodePtr& inode) const;
  // Notes that a pinned inode is about to be open: it can be used until the last OpenInode is gone, without a name,
  // too. ENFILE if there is no room.
  fuse::Result<OpenInode> Open(const PinnedInode& inode);
  // For whoever is about to take a name away: if the guest knows the inode of `fd` (O_PATH, as `stx` describes), sees
  // to it that it can be used without a name, too, as far as there is room. To be kept until the name is gone.
  std::optional<PinnedInode> PinKnown(UniqueFd fd, const struct statx& stx);

  struct Acquired {
    PinnedInode inode;
    bool first = false;  // the lookup count went from 0 to 1
  };
  // Takes one lookup reference to the inode that `fd` (O_PATH) pins and `stx` describes; `parent` and `name` say where
  // it was found, if it is new. ENFILE if the table is full, or has no room for one that needs a descriptor.
  fuse::Result<Acquired> Acquire(UniqueFd fd, const struct statx& stx, NodeId parent, absl::string_view name);

  struct Forgotten {
    InodePtr inode;     // null: the guest holds no reference to the id, or it is the root, which stays
    bool last = false;  // so that the id is gone
  };
  // Gives `count` lookup references back. More than the guest holds is counted, and takes what there is.
  Forgotten Forget(NodeId id, uint64_t count);
  uint64_t over_forgets() const { return over_forgets_.load(std::memory_order_relaxed); }

  // Forgets all but the root; what is gone.
  std::vector<InodePtr> Clear();

  // The inode of that key, if live, is now `name` in `parent`; that inode, or null.
  InodePtr Moved(const InodeKey& key, NodeId parent, absl::string_view name);
  // The path below the root, "." for the root itself; nullopt where an ancestor is not live, or for one that is longer
  // than any name can be used with. Holds the lock for as many steps as the path has.
  std::optional<std::string> PathOf(const Inode& inode) const;
  // The same for lists: as far as it is known, with "?/" in front where an ancestor is not live.
  std::string ShownPathOf(const Inode& inode) const;

  struct Named {
    InodePtr inode;
    std::string path;  // below the root, "." for the root itself; begins with "?/" where an ancestor is not live
  };
  // All live inodes. Holds the lock for a bounded number of entries at a time, so the list is not one moment's.
  std::vector<Named> List() const;
  // Calls `visit` for all live inodes, in the order of their ids, under no lock. Which they are is not one moment's
  // answer either.
  void Visit(absl::FunctionRef<void(const InodePtr&)> visit) const;
  size_t size() const;
  // Descriptors held for inodes and mounts.
  size_t descriptors() const;

 private:
  struct ByKey {
    using is_transparent = void;
    size_t operator()(const InodeKey& key) const { return absl::HashOf(key); }
    size_t operator()(const Inode* inode) const { return absl::HashOf(inode->key()); }
    bool operator()(const Inode* a, const Inode* b) const { return a->key() == b->key(); }
    bool operator()(const Inode* a, const InodeKey& b) const { return a->key() == b; }
    bool operator()(const InodeKey& a, const Inode* b) const { return a == b->key(); }
  };
  // A mount with live inodes on it.
  struct Mount {
    SharedFd fd;  // to open handles with; null if it has none
    uint64_t inodes = 0;
  };

  // From what is known of the path; whether that is all of it.
  bool CollectPath(const Inode& inode, std::string* path) const;
  Inode* FindLocked(const InodeKey& key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The mount's descriptor for handles, made with `fd` if the mount is new. Null: no handles there.
  SharedFd MountFor(const InodeKey& key, int fd) const;
  void InsertLocked(const InodePtr& inode, const SharedFd& mount) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static fuse::Result<SharedFd> OpenByHandle(const Inode& inode, const SharedFd& mount);
  // Lets go of a descriptor if there is no room for another.
  void MakeRoom(bool needed) const;
  // Takes an inode out of the table. What it returns is to be let go of outside of the lock.
  std::vector<SharedFd> RemoveLocked(Inode* inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const uint64_t max_nodes_;
  const uint64_t max_mounts_;  // with a descriptor
  SharedFd root_fd_;
  InodePtr root_;
  std::atomic<uint64_t> over_forgets_{0};
  mutable Mutex mu_;
  NodeId next_id_ ABSL_GUARDED_BY(mu_);
  // Ordered, so that List can go on where it released the lock.
  absl::btree_map<NodeId, InodePtr> by_id_ ABSL_GUARDED_BY(mu_);
  // Without nodes whose file is gone while another has its number.
  absl::flat_hash_set<Inode*, ByKey, ByKey> by_key_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint32_t, Mount> mounts_ ABSL_GUARDED_BY(mu_);
  uint64_t mount_descriptors_ ABSL_GUARDED_BY(mu_) = 0;
  mutable HeldDescriptors held_ ABSL_GUARDED_BY(mu_);  // using an inode may change whose descriptor is held
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_INODE_TABLE_H_
