// A file system for tests of the dispatcher: answers the same to everybody, and records what it was asked.
#ifndef DAXVMM_DEVICES_VIRTIO_FS_FUSE_FAKE_FILE_SYSTEM_H_
#define DAXVMM_DEVICES_VIRTIO_FS_FUSE_FAKE_FILE_SYSTEM_H_

#include <string>
#include <vector>

#include "devices/virtio_fs/fuse/file_system.h"
#include "devices/virtio_fs/fuse/mapping_handler.h"

namespace daxvmm::fuse {

// Not for several threads at once.
class FakeFileSystem : public FileSystem, public MappingHandler {
 public:
  // What every call answers, unless kOk.
  Errno error;
  // What READ fills with, and the length that READ and WRITE report (nullopt: all that was asked for).
  char fill = 'r';
  std::optional<size_t> io_result;
  std::string xattr = "value";
  std::vector<std::string> dir_entries = {"a", "bb", "ccc"};
  uint64_t next_node = 100;

  // What READDIR answers after its entries.
  Errno list_error;

  // "lookup 1 name", and so on: the operation, the node, and what else tells it apart.
  std::vector<std::string> calls;
  std::string written;
  RequestContext last_context;
  fuse_setupmapping_in last_setup = {};
  std::vector<fuse_removemapping_one> last_removals;

  uint64_t optional_flags = 0;
  std::string ioctl_output = "output";

  uint64_t optional_init_flags() const override { return optional_flags; }
  void Init(uint64_t flags) override;
  void Destroy() override;
  Result<fuse_entry_out> Lookup(const RequestContext& ctx, NodeId parent, absl::string_view name) override;
  void Forget(NodeId node, uint64_t count) override;
  void TakeBack(NodeId node) override;
  Result<fuse_attr_out> GetAttr(const RequestContext& ctx, NodeId node, std::optional<FileHandle> fh) override;
  Result<fuse_attr_out> SetAttr(const RequestContext& ctx, NodeId node, const fuse_setattr_in& in) override;
  Result<std::string> ReadLink(const RequestContext& ctx, NodeId node) override;
  Result<fuse_entry_out> SymLink(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                 absl::string_view target) override;
  Result<fuse_entry_out> MkNod(const RequestContext& ctx, NodeId parent, absl::string_view name,
                               const fuse_mknod_in& in) override;
  Result<fuse_entry_out> MkDir(const RequestContext& ctx, NodeId parent, absl::string_view name,
                               const fuse_mkdir_in& in) override;
  Errno Unlink(const RequestContext& ctx, NodeId parent, absl::string_view name) override;
  Errno RmDir(const RequestContext& ctx, NodeId parent, absl::string_view name) override;
  Errno Rename(const RequestContext& ctx, NodeId parent, absl::string_view name, NodeId new_parent,
               absl::string_view new_name, uint32_t flags) override;
  Result<fuse_entry_out> Link(const RequestContext& ctx, NodeId node, NodeId new_parent,
                              absl::string_view new_name) override;
  Result<CreateReply> Create(const RequestContext& ctx, NodeId parent, absl::string_view name,
                             const fuse_create_in& in) override;
  Result<CreateReply> TmpFile(const RequestContext& ctx, NodeId parent, const fuse_create_in& in) override;
  Errno Access(const RequestContext& ctx, NodeId node, uint32_t mask) override;
  Result<std::string> Ioctl(const RequestContext& ctx, NodeId node, const fuse_ioctl_in& in,
                            absl::string_view input) override;
  Result<fuse_open_out> Open(const RequestContext& ctx, NodeId node, const fuse_open_in& in) override;
  Result<size_t> Read(const RequestContext& ctx, NodeId node, const fuse_read_in& in, memory::IovWriter* out) override;
  Result<size_t> Write(const RequestContext& ctx, NodeId node, const fuse_write_in& in,
                       memory::IovReader* data) override;
  Result<fuse_kstatfs> StatFs(const RequestContext& ctx, NodeId node) override;
  Errno Release(const RequestContext& ctx, NodeId node, const fuse_release_in& in) override;
  Errno Flush(const RequestContext& ctx, NodeId node, FileHandle fh) override;
  Errno Fsync(const RequestContext& ctx, NodeId node, const fuse_fsync_in& in) override;
  Errno SetXattr(const RequestContext& ctx, NodeId node, const std::string& name, absl::string_view value,
                 uint32_t flags, uint32_t setxattr_flags) override;
  Result<std::string> GetXattr(const RequestContext& ctx, NodeId node, const std::string& name) override;
  Result<std::string> ListXattr(const RequestContext& ctx, NodeId node) override;
  Errno RemoveXattr(const RequestContext& ctx, NodeId node, const std::string& name) override;
  Result<fuse_open_out> OpenDir(const RequestContext& ctx, NodeId node, const fuse_open_in& in) override;
  Errno ReadDir(const RequestContext& ctx, NodeId node, const fuse_read_in& in, bool plus, DirSink* sink) override;
  Errno ReleaseDir(const RequestContext& ctx, NodeId node, FileHandle fh) override;
  Errno FsyncDir(const RequestContext& ctx, NodeId node, const fuse_fsync_in& in) override;
  Errno Fallocate(const RequestContext& ctx, NodeId node, const fuse_fallocate_in& in) override;
  Result<uint64_t> Lseek(const RequestContext& ctx, NodeId node, const fuse_lseek_in& in) override;
  Result<size_t> CopyFileRange(const RequestContext& ctx, NodeId node, const fuse_copy_file_range_in& in) override;
  Errno SyncFs(const RequestContext& ctx, NodeId node) override;

  Errno SetupMapping(const RequestContext& ctx, NodeId node, const fuse_setupmapping_in& in) override;
  Errno RemoveMapping(NodeId node, std::span<const fuse_removemapping_one> entries) override;

 private:
  Errno Record(const RequestContext& ctx, std::string call);
  Result<fuse_entry_out> RecordEntry(const RequestContext& ctx, std::string call);
  Result<fuse_open_out> RecordOpen(const RequestContext& ctx, std::string call);
};

}  // namespace daxvmm::fuse

#endif  // DAXVMM_DEVICES_VIRTIO_FS_FUSE_FAKE_FILE_SYSTEM_H_
