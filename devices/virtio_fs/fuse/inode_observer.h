// The seam where the per-file DAX decision meets every reply that carries attributes. The file system states facts; the
// observer answers with the fuse_attr.flags of the reply. Neither knows the other.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_INODE_OBSERVER_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_INODE_OBSERVER_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "base/units.h"
#include "devices/virtio_fs/fuse/file_system.h"

namespace daxvmm::fuse {

// A fact that does not hold.
inline bool NoSuchThing() { return false; }
// A path that nobody knows.
inline std::optional<std::string> NoPath() { return std::nullopt; }

// Set-user-id, or set-group-id and executable by its group: what a write by an ordinary user clears. Without group
// execution the set-group-id bit stands for mandatory locks, and stays.
constexpr bool IsSetId(mode_t mode) {
  return (mode & S_ISUID) != 0 || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
}

// The room that an observer has in each live inode: zero when the inode comes to life, at the same address until it is
// gone. The file system does not look into it. There may be a million: each byte counts.
struct ObserverSlot {
  static constexpr size_t kSize = 64;
  alignas(8) std::byte bytes[kSize] = {};
};

// A live inode, as every method below is told of it.
struct ObservedInode {
  NodeId node;
  // Tells the files of the host apart, as far as 64 bits can: the same when a file is looked up again.
  uint64_t identity;
  ObserverSlot& slot;
};

// What an inode is, as of this reply.
struct InodeFacts {
  mode_t mode = 0;
  ByteCount size;
  uint32_t uid = 0;  // of the owner on the host
  uint32_t gid = 0;
  bool huge_pages = false;  // the host keeps the file in huge pages
  // Those that cost a system call or a walk are functions, called if a rule needs them, at most once per reply. Valid
  // during the call only.
  //
  // The persistent DAX hint of the file (chattr +x), wherever the share keeps it.
  absl::FunctionRef<bool()> dax_hint = NoSuchThing;
  // Whether the file carries security.capability.
  absl::FunctionRef<bool()> security_capability = NoSuchThing;
  // The path below the share of the name that the inode was first looked up by, as the guest renamed it since; nullopt
  // where an ancestor is not live any more.
  absl::FunctionRef<std::optional<std::string>()> path = NoPath;
};

// What kind of reply the attributes travel in.
enum class AttrReply {
  kEntry,    // LOOKUP, CREATE, MKNOD, MKDIR, SYMLINK, LINK, and each entry of READDIRPLUS: takes a lookup reference
  kGetAttr,  // GETATTR
  kSetAttr,  // SETATTR: the only one whose FUSE_ATTR_DAX Linux does not look at (fuse_do_setattr, 6.1)
};

// Called by the file system on any thread that serves requests. Methods must not call back into the file system.
class InodeObserver {
 public:
  virtual ~InodeObserver() = default;

  // The flags (FUSE_ATTR_DAX or 0) for a reply to `ctx` about the inode. The first reply of kind kEntry after the inode
  // came to life, or after the guest forgot an instance of it, is what the guest makes its in-core inode from.
  virtual uint32_t AttrFlags(const RequestContext& ctx, ObservedInode inode, const InodeFacts& facts,
                             AttrReply reply) = 0;
  // The last kEntry reply about the inode did not reach the guest: its lookup reference is taken back.
  virtual void Undelivered(ObservedInode inode) = 0;
  // The guest gave `count` lookup references back. `last`: they were all that it had, and the inode is gone; the id is
  // never used again.
  virtual void Forgotten(ObservedInode inode, uint64_t count, bool last) = 0;

  // A request whose reply carries no attributes (WRITE, FALLOCATE, COPY_FILE_RANGE) may have made the file longer, and
  // is about to be answered: `size` is what the guest then knows the file to have. Attribute replies report sizes
  // through AttrFlags.
  virtual void Grew(ObservedInode inode, ByteCount size) = 0;
  // A FUSE_READ or a FUSE_WRITE of so many bytes from `offset` on is about to be served.
  virtual void Read(ObservedInode inode, FileOffset offset, ByteCount size) = 0;
  virtual void Write(ObservedInode inode, FileOffset offset, ByteCount size) = 0;

  // The guest has closed the last file that it had open on the inode.
  virtual void Closed(ObservedInode inode) = 0;

  // The guest renamed the inode: its path is another one. For a directory, so are those of everything below it.
  virtual void Renamed(ObservedInode inode, bool directory) = 0;
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_INODE_OBSERVER_H_
