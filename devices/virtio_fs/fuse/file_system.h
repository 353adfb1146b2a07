// What serves FUSE requests. The dispatcher decodes a request into one of these calls and encodes what comes back; an
// implementation never sees the wire.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_FILE_SYSTEM_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_FILE_SYSTEM_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/units.h"
#include "devices/virtio_fs/fuse/abi.h"
#include "devices/virtio_fs/fuse/result.h"
#include "memory/iov_cursor.h"

namespace daxvmm::fuse {

// An extended attribute that a new inode is to be born with (FUSE_SECURITY_CTX).
struct SecurityLabel {
  std::string name;  // whole, such as "security.selinux"
  std::string value;
};

class RequestCounts;

// Who asks. The ids are the guest's.
struct RequestContext {
  uint64_t unique = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  // The device could not see the request yet at this moment: replies that it had given by then may have been read
  // before the request was sent, later ones were in flight together with it. max(): nothing else was in flight.
  std::chrono::steady_clock::time_point sent_after = std::chrono::steady_clock::time_point::max();
  // Of the thread that serves the request; null: nobody counts.
  RequestCounts* counts = nullptr;
  // What a request that makes an inode brings besides.
  std::vector<SecurityLabel> labels;
  // The group of the parent directory, if it is one of the caller's supplementary groups (FUSE_CREATE_SUPP_GROUP).
  std::optional<gid_t> supplementary_group;
};

struct CreateReply {
  fuse_entry_out entry;
  fuse_open_out open;
};

// Takes directory entries until the guest's buffer is full. Padding and lengths are the sink's business.
class DirSink {
 public:
  virtual ~DirSink() = default;
  // Whether an entry with a name of `name_length` bytes still fits. To be asked before a lookup reference is taken.
  virtual bool Fits(size_t name_length) const = 0;
  // `next_offset` is the position that READDIR continues from after this entry; `type` is a DT_* value. For READDIRPLUS
  // `entry` is what LOOKUP would answer (nodeid 0: no reference was taken); null for READDIR.
  virtual void Add(absl::string_view name, uint64_t ino, uint32_t type, uint64_t next_offset,
                   const fuse_entry_out* entry) = 0;
};

// Called on the threads that serve a device's queues, several at once. Names are valid: not empty, without '/' or NUL,
// at most 255 bytes, neither "." nor ".." (LOOKUP included). An unknown node is ENOENT, an unknown handle EBADF.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // The INIT flags (both words) that this file system can serve besides those that need nothing of it: POSIX_ACL with
  // DONT_MASK and SETXATTR_EXT, SUBMOUNTS, WRITEBACK_CACHE, NO_OPENDIR_SUPPORT, CACHE_SYMLINKS, SECURITY_CTX,
  // CREATE_SUPP_GROUP, DIRECT_IO_ALLOW_MMAP, AUTO_INVAL_DATA. Granted to a client that offers them, except that
  // POSIX_ACL needs the other two, WRITEBACK_CACHE a device without a window, and AUTO_INVAL_DATA a mount without one.
  // Constant.
  virtual uint64_t optional_init_flags() const = 0;
  // A session begins: `flags` are those of the INIT reply.
  virtual void Init(uint64_t flags) = 0;
  // The session is over (DESTROY, a new INIT, device reset): drops every handle, and every node but the root.
  virtual void Destroy() = 0;

  virtual Result<fuse_entry_out> Lookup(const RequestContext& ctx, NodeId parent, absl::string_view name) = 0;
  virtual void Forget(NodeId node, uint64_t count) = 0;
  // The last reply that gave the client a lookup reference to the node did not reach it.
  virtual void TakeBack(NodeId node) = 0;
  virtual Result<fuse_attr_out> GetAttr(const RequestContext& ctx, NodeId node, std::optional<FileHandle> fh) = 0;
  virtual Result<fuse_attr_out> SetAttr(const RequestContext& ctx, NodeId node, const fuse_setattr_in& in) = 0;
  virtual Result<std::string> ReadLink(const RequestContext& ctx, NodeId node) = 0;
  virtual Result<fuse_entry_out> SymLink(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                         absl::string_view target) = 0;
  virtual Result<fuse_entry_out> MkNod(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                       const fuse_mknod_in& in) = 0;
  virtual Result<fuse_entry_out> MkDir(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                       const fuse_mkdir_in& in) = 0;
  virtual Errno Unlink(const RequestContext& ctx, NodeId parent, absl::string_view name) = 0;
  virtual Errno RmDir(const RequestContext& ctx, NodeId parent, absl::string_view name) = 0;
  // `flags` are those of renameat2(2).
  virtual Errno Rename(const RequestContext& ctx, NodeId parent, absl::string_view name, NodeId new_parent,
                       absl::string_view new_name, uint32_t flags) = 0;
  virtual Result<fuse_entry_out> Link(const RequestContext& ctx, NodeId node, NodeId new_parent,
                                      absl::string_view new_name) = 0;
  virtual Result<CreateReply> Create(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                     const fuse_create_in& in) = 0;
  // O_TMPFILE: a file without a name, which LINK may give it later.
  virtual Result<CreateReply> TmpFile(const RequestContext& ctx, NodeId parent, const fuse_create_in& in) = 0;
  virtual Result<fuse_open_out> Open(const RequestContext& ctx, NodeId node, const fuse_open_in& in) = 0;
  // Fills at most in.size bytes of `out`; answers how many. Fewer than asked means end of file.
  virtual Result<size_t> Read(const RequestContext& ctx, NodeId node, const fuse_read_in& in,
                              memory::IovWriter* out) = 0;
  // Takes in.size bytes from `data`, which holds at least that many; answers how many were written.
  virtual Result<size_t> Write(const RequestContext& ctx, NodeId node, const fuse_write_in& in,
                               memory::IovReader* data) = 0;
  // `mask` is access(2)'s.
  virtual Errno Access(const RequestContext& ctx, NodeId node, uint32_t mask) = 0;
  // What the client sent with a restricted ioctl; the output, at most in.out_size bytes. ENOTTY for what is not served.
  virtual Result<std::string> Ioctl(const RequestContext& ctx, NodeId node, const fuse_ioctl_in& in,
                                    absl::string_view input) = 0;
  virtual Result<fuse_kstatfs> StatFs(const RequestContext& ctx, NodeId node) = 0;
  virtual Errno Release(const RequestContext& ctx, NodeId node, const fuse_release_in& in) = 0;
  virtual Errno Flush(const RequestContext& ctx, NodeId node, FileHandle fh) = 0;
  virtual Errno Fsync(const RequestContext& ctx, NodeId node, const fuse_fsync_in& in) = 0;
  // `flags` are setxattr(2)'s; `setxattr_flags` is 0 or FUSE_SETXATTR_ACL_KILL_SGID.
  virtual Errno SetXattr(const RequestContext& ctx, NodeId node, const std::string& name, absl::string_view value,
                         uint32_t flags, uint32_t setxattr_flags) = 0;
  // The whole value; the dispatcher answers with its length, the value or ERANGE, as the guest's buffer asks for. At
  // most XATTR_SIZE_MAX bytes, whatever the guest claims to have room for.
  virtual Result<std::string> GetXattr(const RequestContext& ctx, NodeId node, const std::string& name) = 0;
  virtual Result<std::string> ListXattr(const RequestContext& ctx, NodeId node) = 0;
  virtual Errno RemoveXattr(const RequestContext& ctx, NodeId node, const std::string& name) = 0;
  virtual Result<fuse_open_out> OpenDir(const RequestContext& ctx, NodeId node, const fuse_open_in& in) = 0;
  virtual Errno ReadDir(const RequestContext& ctx, NodeId node, const fuse_read_in& in, bool plus, DirSink* sink) = 0;
  virtual Errno ReleaseDir(const RequestContext& ctx, NodeId node, FileHandle fh) = 0;
  virtual Errno FsyncDir(const RequestContext& ctx, NodeId node, const fuse_fsync_in& in) = 0;
  virtual Errno Fallocate(const RequestContext& ctx, NodeId node, const fuse_fallocate_in& in) = 0;
  virtual Result<uint64_t> Lseek(const RequestContext& ctx, NodeId node, const fuse_lseek_in& in) = 0;
  virtual Result<size_t> CopyFileRange(const RequestContext& ctx, NodeId node, const fuse_copy_file_range_in& in) = 0;
  virtual Errno SyncFs(const RequestContext& ctx, NodeId node) = 0;
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_FILE_SYSTEM_H_
