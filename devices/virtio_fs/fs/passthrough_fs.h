// A directory of the host as a FUSE file system.
//
// The class is composition: nodes are inode_table's, open files handle_table's, the way from a name to a descriptor
// safe_open's, the caller's identity credentials'. The operations stand by family in passthrough_*.cc.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FS_PASSTHROUGH_FS_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FS_PASSTHROUGH_FS_H_

#include <linux/fs.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "devices/virtio_fs/fs/credentials.h"
#include "devices/virtio_fs/fs/dax_hint.h"
#include "devices/virtio_fs/fs/handle_table.h"
#include "devices/virtio_fs/fs/inode_table.h"
#include "devices/virtio_fs/fs/share_options.h"
#include "devices/virtio_fs/fuse/file_system.h"
#include "devices/virtio_fs/fuse/inode_observer.h"
#include "devices/virtio_fs/fuse/mapping_handler.h"

namespace daxvmm::fs {

// One inode that the guest holds references to, for the operator's eyes.
struct LiveNode {
  NodeId node;
  // Relative to the share, "." for its root: as first looked up, and as the guest renamed it since. Begins with "?/"
  // where a directory above is not known any more. Renames made on the host are not seen.
  std::string path;
  bool dax_hint_in_memory = false;  // chattr +x was said of it, and nothing could be found that keeps that
  // As fstat says now; the owner is the host's.
  mode_t mode = 0;
  ByteCount size;
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool huge_pages = false;  // the host keeps it in huge pages
  uint64_t open_handles = 0;
  uint64_t reads = 0;   // FUSE_READ requests
  uint64_t writes = 0;  // FUSE_WRITE requests
  InodePtr inode;       // for its ObserverSlot
};

// Every method may be called on any thread, several at once. Request threads get a umask of their own when they first
// create something (see ScopedUmask).
class PassthroughFs final : public fuse::FileSystem, public fuse::MappingSource {
 public:
  // INVALID_ARGUMENT, NOT_FOUND and so on, naming the path. `observer` may be null: attribute flags are 0 then. It
  // outlives the file system.
  static absl::StatusOr<std::unique_ptr<PassthroughFs>> Create(const ShareOptions& options,
                                                               fuse::InodeObserver* observer);

  // Of all live inodes. Holds no lock that requests take for longer than a few hundred entries need.
  std::vector<LiveNode> ListLiveNodes() const;
  // The one of that id, or the live one that has that path; nullopt if there is none.
  std::optional<LiveNode> FindLiveNode(NodeId node) const;
  // The path has to be the one that lists show. Walks through all of them.
  std::optional<LiveNode> FindLiveNode(absl::string_view path) const;
  // What a file that is not live would be, found by its path as a guest's look-ups would find it: ENOTDIR for a
  // symbolic link on the way. The node's id is 0.
  struct FileAtPath {
    LiveNode node;
    bool dax_hint = false;
    bool security_capability = false;
    uint64_t identity = 0;  // see fuse::ObservedInode
  };
  fuse::Result<FileAtPath> LookAtPath(absl::string_view path) const;
  // Calls `visit` for every live regular file, under no lock, without a system call.
  void VisitLiveFiles(absl::FunctionRef<void(Inode&)> visit) const;
  // The inode itself; null if the guest holds no reference to it.
  InodePtr FindLive(NodeId node) const { return inodes_.Find(node); }
  // The path of a live inode as lists show it; nullopt if it is not known.
  std::optional<std::string> PathOf(const Inode& inode) const { return inodes_.PathOf(inode); }
  // As far as it is known; see LiveNode::path.
  std::string ShownPathOf(const Inode& inode) const { return inodes_.ShownPathOf(inode); }
  // For how long the guest may go on without asking for attributes again, or for what a name leads to.
  absl::Duration longest_timeout() const { return LongestTimeout(options_); }
  static absl::Duration LongestTimeout(const ShareOptions& options);
  // How often the guest gave more lookup references back than it had: a broken client.
  uint64_t over_forgets() const { return inodes_.over_forgets(); }
  size_t node_count() const { return inodes_.size(); }
  size_t handle_count() const { return handles_.size(); }
  // Descriptors that are held between requests.
  size_t descriptor_count() const { return inodes_.descriptors() + handles_.size(); }
  // How many files have a DAX hint that is gone with the device.
  size_t hints_in_memory() const { return dax_hints_.in_memory(); }

  // fuse::MappingSource
  fuse::Result<UniqueFd> OpenForMapping(NodeId node, bool writable) override;

  // Does to a file what a write(2) of `ctx`'s caller would do to its set-id bits and its security.capability, before
  // it is mapped writable: a store through the mapping does nothing to them. kOk for an unknown node.
  fuse::Errno DropPrivilegesBeforeStores(const fuse::RequestContext& ctx, NodeId node);
  // The persistent DAX hint of a live regular file; nullopt for another node.
  std::optional<bool> PersistentDaxHint(NodeId node) const;
  // Whether a live regular file carries security.capability; nullopt for another node.
  std::optional<bool> HasSecurityCapability(NodeId node) const;

  // fuse::FileSystem
  uint64_t optional_init_flags() const override;
  void Init(uint64_t flags) override;
  void Destroy() override;
  fuse::Result<fuse_entry_out> Lookup(const fuse::RequestContext& ctx, NodeId parent, absl::string_view name) override;
  void Forget(NodeId node, uint64_t count) override;
  void TakeBack(NodeId node) override;
  fuse::Result<fuse_attr_out> GetAttr(const fuse::RequestContext& ctx, NodeId node,
                                      std::optional<FileHandle> fh) override;
  fuse::Result<fuse_attr_out> SetAttr(const fuse::RequestContext& ctx, NodeId node, const fuse_setattr_in& in) override;
  fuse::Result<std::string> ReadLink(const fuse::RequestContext& ctx, NodeId node) override;
  fuse::Result<fuse_entry_out> SymLink(const fuse::RequestContext& ctx, NodeId parent, absl::string_view name,
                                       absl::string_view target) override;
  fuse::Result<fuse_entry_out> MkNod(const fuse::RequestContext& ctx, NodeId parent, absl::string_view name,
                                     const fuse_mknod_in& in) override;
  fuse::Result<fuse_entry_out> MkDir(const fuse::RequestContext& ctx, NodeId parent, absl::string_view name,
                                     const fuse_mkdir_in& in) override;
  fuse::Errno Unlink(const fuse::RequestContext& ctx, NodeId parent, absl::string_view name) override;
  fuse::Errno RmDir(const fuse::RequestContext& ctx, NodeId parent, absl::string_view name) override;
  fuse::Errno Rename(const fuse::RequestContext& ctx, NodeId parent, absl::string_view name, NodeId new_parent,
                     absl::string_view new_name, uint32_t flags) override;
  fuse::Result<fuse_entry_out> Link(const fuse::RequestContext& ctx, NodeId node, NodeId new_parent,
                                    absl::string_view new_name) override;
  fuse::Result<fuse::CreateReply> Create(const fuse::RequestContext& ctx, NodeId parent, absl::string_view name,
                                         const fuse_create_in& in) override;
  fuse::Result<fuse::CreateReply> TmpFile(const fuse::RequestContext& ctx, NodeId parent,
                                          const fuse_create_in& in) override;
  fuse::Result<fuse_open_out> Open(const fuse::RequestContext& ctx, NodeId node, const fuse_open_in& in) override;
  fuse::Result<size_t> Read(const fuse::RequestContext& ctx, NodeId node, const fuse_read_in& in,
                            memory::IovWriter* out) override;
  fuse::Result<size_t> Write(const fuse::RequestContext& ctx, NodeId node, const fuse_write_in& in,
                             memory::IovReader* data) override;
  fuse::Errno Access(const fuse::RequestContext& ctx, NodeId node, uint32_t mask) override;
  fuse::Result<std::string> Ioctl(const fuse::RequestContext& ctx, NodeId node, const fuse_ioctl_in& in,
                                  absl::string_view input) override;
  fuse::Result<fuse_kstatfs> StatFs(const fuse::RequestContext& ctx, NodeId node) override;
  fuse::Errno Release(const fuse::RequestContext& ctx, NodeId node, const fuse_release_in& in) override;
  fuse::Errno Flush(const fuse::RequestContext& ctx, NodeId node, FileHandle fh) override;
  fuse::Errno Fsync(const fuse::RequestContext& ctx, NodeId node, const fuse_fsync_in& in) override;
  fuse::Errno SetXattr(const fuse::RequestContext& ctx, NodeId node, const std::string& name, absl::string_view value,
                       uint32_t flags, uint32_t setxattr_flags) override;
  fuse::Result<std::string> GetXattr(const fuse::RequestContext& ctx, NodeId node, const std::string& name) override;
  fuse::Result<std::string> ListXattr(const fuse::RequestContext& ctx, NodeId node) override;
  fuse::Errno RemoveXattr(const fuse::RequestContext& ctx, NodeId node, const std::string& name) override;
  fuse::Result<fuse_open_out> OpenDir(const fuse::RequestContext& ctx, NodeId node, const fuse_open_in& in) override;
  fuse::Errno ReadDir(const fuse::RequestContext& ctx, NodeId node, const fuse_read_in& in, bool plus,
                      fuse::DirSink* sink) override;
  fuse::Errno ReleaseDir(const fuse::RequestContext& ctx, NodeId node, FileHandle fh) override;
  fuse::Errno FsyncDir(const fuse::RequestContext& ctx, NodeId node, const fuse_fsync_in& in) override;
  fuse::Errno Fallocate(const fuse::RequestContext& ctx, NodeId node, const fuse_fallocate_in& in) override;
  fuse::Result<uint64_t> Lseek(const fuse::RequestContext& ctx, NodeId node, const fuse_lseek_in& in) override;
  fuse::Result<size_t> CopyFileRange(const fuse::RequestContext& ctx, NodeId node,
                                     const fuse_copy_file_range_in& in) override;
  fuse::Errno SyncFs(const fuse::RequestContext& ctx, NodeId node) override;

 private:
  struct Bounds {
    InodeLimits inodes;
    uint64_t handles = 0;
  };
  static absl::StatusOr<Bounds> BoundsOf(const ShareOptions& options);
  PassthroughFs(const ShareOptions& options, fuse::InodeObserver* observer, UniqueFd root,
                const struct statx& root_stat, const Bounds& bounds);

  // The node, if it is a live directory: ENOENT or ENOTDIR otherwise.
  fuse::Result<PinnedInode> FindDirectory(NodeId node) const;
  // The same for where a name is about to be made or removed: EROFS on a read-only share.
  fuse::Result<PinnedInode> FindWritableDirectory(NodeId node) const;
  // The handle of a regular file; EBADF otherwise.
  fuse::Result<std::shared_ptr<Handle>> FindFile(FileHandle fh, NodeId node) const;
  fuse::Result<std::shared_ptr<Handle>> FindOpenDirectory(FileHandle fh, NodeId node) const;

  // The one source of attributes: every reply that carries them is filled here, so that FUSE_ATTR_DAX is the same in
  // all of them (a client drops an inode whose flag differs from one reply to the next).
  fuse_attr MakeAttr(const fuse::RequestContext& ctx, const PinnedInode& inode, const struct statx& stx,
                     fuse::AttrReply reply) const;
  fuse::Result<fuse_attr_out> AttrOut(const fuse::RequestContext& ctx, const PinnedInode& inode,
                                      fuse::AttrReply reply) const;
  // Takes a lookup reference to the inode of `fd` (O_PATH).
  fuse::Result<fuse_entry_out> MakeEntry(const fuse::RequestContext& ctx, UniqueFd fd, NodeId parent,
                                         const std::string& name);
  // The same for what was just made as `name` and opened as `fd`; first gives it its labels. EIO if it is not of
  // `type`, because someone on the host was faster. On any error, also `fd`'s, what was made is removed again.
  fuse::Result<fuse_entry_out> EntryOfNew(const fuse::RequestContext& ctx, const PinnedInode& parent,
                                          const std::string& name, mode_t type, fuse::Result<UniqueFd> fd);
  // To be kept while `name` is taken out of `dir`: what it leads to stays usable for whoever in the guest uses it.
  std::optional<PinnedInode> PinBeforeRemoval(const PinnedInode& dir, const std::string& name);
  // The reply to CREATE and TMPFILE for a file that is open as `io` and held as `path` (O_PATH).
  fuse::Result<fuse::CreateReply> ReplyToCreate(const fuse::RequestContext& ctx, UniqueFd io, UniqueFd path,
                                                NodeId parent, const std::string& name);

  // Who the caller is on the host when it makes something in `dir`. EOVERFLOW for ids that have no meaning there.
  fuse::Result<HostIdentity> IdentityOf(const fuse::RequestContext& ctx, const PinnedInode& dir) const;
  // The caller's group on the host, for what goes on without one as well.
  gid_t HostGroupOf(const fuse::RequestContext& ctx) const;
  // The umask to make something under, of the one that the request brings.
  mode_t UmaskFor(uint32_t umask) const;
  // Gives the new inode of `fd` what it is to be born with.
  fuse::Errno LabelNew(const fuse::RequestContext& ctx, int fd) const;
  // Whether a flag of INIT was granted in this session.
  bool Granted(uint64_t flag) const { return (session_flags_.load(std::memory_order_relaxed) & flag) != 0; }
  // Whether the guest's ACLs are served in this session.
  bool serves_acls() const;
  // The host's name of an attribute that the guest may touch; EPERM, EOPNOTSUPP or ERANGE otherwise.
  fuse::Result<std::string> HostXattrName(const std::string& name) const;
  // `kill_sgid`: the access ACL's setter may not keep a set-group-id bit.
  fuse::Errno SetAcl(const PinnedInode& inode, const std::string& name, absl::string_view acl, int flags,
                     bool kill_sgid) const;
  // Enters what was opened as `fd`, and says what the guest may cache of it.
  fuse::Result<fuse_open_out> OpenReply(const PinnedInode& inode, UniqueFd fd);
  // The flags to open a file of the host with where the guest says `flags`.
  int HostFlags(uint32_t flags) const;
  // READDIR of the directory `dir`, which `fd` is open on, from where `stream` stands if that is where `in` wants it.
  fuse::Errno ReadStream(const fuse::RequestContext& ctx, int fd, const Inode& dir, DirStream* stream,
                         const fuse_read_in& in, bool plus, fuse::DirSink* sink);

  // Of a regular file or a directory: read once in the inode's life, then remembered.
  DaxHint HintOf(const PinnedInode& inode) const;
  fuse::Errno SetHint(const PinnedInode& inode, bool on);
  // What was just made in `dir` as `fd` (O_PATH) gets the directory's hint, as a flag of ext4 and xfs is inherited. One
  // that cannot be kept is not: the hint is advice, and what was made is worth more.
  void InheritHint(const PinnedInode& dir, int fd, mode_t type);
  // The path of what the guest renamed is another one.
  void NoteRenamed(const InodePtr& inode) const;
  // SETFLAGS and FSSETXATTR: all flags as the guest wants them.
  fuse::Errno SetFlags(const PinnedInode& inode, uint32_t wanted);
  fuse::Errno SetAttributes(const PinnedInode& inode, const fsxattr& wanted);

  // A request whose reply carries no attributes has made the file at least this long.
  void NoteSize(Inode& inode, uint64_t size) const;

  const ShareOptions options_;
  const timespec attr_valid_;
  const timespec entry_valid_;
  const bool own_umask_;  // the caller's umask can be applied here
  const bool posix_acl_;  // the guest can be offered ACLs
  const bool can_label_;  // and labels of new inodes
  // The INIT flags of the session, both words.
  std::atomic<uint64_t> session_flags_{0};
  fuse::InodeObserver* const observer_;
  DaxHints dax_hints_;
  InodeTable inodes_;
  HandleTable handles_;
};

}  // namespace daxvmm::fs

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FS_PASSTHROUGH_FS_H_
