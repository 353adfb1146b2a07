// The seam where the per-file DAX decision meets every reply that carries attributes. The file system states facts; the
// observer answers with the fuse_attr.flags of the reply. Neither knows the other.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_INODE_OBSERVER_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_INODE_OBSERVER_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "base/units.h"

namespace daxvmm::fuse {

// A fact that does not hold.
inline bool NoSuchThing() { return false; }

// Set-user-id, or set-group-id and executable by its group: what a write by an ordinary user clears. Without group
// execution the set-group-id bit stands for mandatory locks, and stays.
constexpr bool IsSetId(mode_t mode) {
  return (mode & S_ISUID) != 0 || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
}

// What an inode is, as of this reply.
struct InodeFacts {
  NodeId node;
  mode_t mode = 0;
  ByteCount size;
  // The persistent DAX hint of the file (chattr +x), wherever the share keeps it.
  // Costs a system call: called only if a rule needs it, at most once per reply. Valid during the call only.
  absl::FunctionRef<bool()> persistent_dax_flag;
  // Whether the file carries security.capability. The same cost, the same rule.
  absl::FunctionRef<bool()> security_capability = NoSuchThing;
};

// What kind of reply the attributes travel in.
enum class AttrReply {
  kEntry,  // LOOKUP, CREATE, MKNOD, MKDIR, SYMLINK, LINK, and each entry of READDIRPLUS: takes a lookup reference
  kAttr,   // GETATTR, SETATTR
};

// Called by the file system on any thread that serves requests. Methods must not call back into the file system.
class InodeObserver {
 public:
  virtual ~InodeObserver() = default;

  // The flags (FUSE_ATTR_DAX or 0) for a reply about `facts.node`. `instantiates` tells that the reply gives the guest
  // its first lookup reference, so that the guest makes its in-core inode from this answer.
  virtual uint32_t AttrFlags(const InodeFacts& facts, AttrReply reply, bool instantiates) = 0;

  // The file grew to `size` by a request whose reply carries no attributes (WRITE, FALLOCATE, COPY_FILE_RANGE), which
  // is about to be answered. Attribute replies report sizes through AttrFlags.
  virtual void Grew(NodeId node, ByteCount size) = 0;

  // The guest dropped its last lookup reference (FORGET); the id may come back later for another file.
  virtual void Forgotten(NodeId node) = 0;
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_INODE_OBSERVER_H_
