#include "devices/virtio_fs/fuse/fake_file_system.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace daxvmm::fuse {
namespace {

template <typename... Parts>
std::string Call(absl::string_view op, NodeId node, const Parts&... parts) {
  std::string call = absl::StrCat(op, " ", node.raw());
  (absl::StrAppend(&call, " ", parts), ...);
  return call;
}

}  // namespace

Errno FakeFileSystem::Record(const RequestContext& ctx, std::string call) {
  last_context = ctx;
  calls.push_back(std::move(call));
  return error;
}

Result<fuse_entry_out> FakeFileSystem::RecordEntry(const RequestContext& ctx, std::string call) {
  if (Errno e = Record(ctx, std::move(call)); !e.ok()) return e;
  fuse_entry_out entry = {};
  entry.nodeid = next_node++;
  entry.attr.flags = FUSE_ATTR_DAX;
  return entry;
}

Result<fuse_open_out> FakeFileSystem::RecordOpen(const RequestContext& ctx, std::string call) {
  if (Errno e = Record(ctx, std::move(call)); !e.ok()) return e;
  fuse_open_out open = {};
  open.fh = 7;
  return open;
}

void FakeFileSystem::Init(uint64_t flags) { calls.push_back(absl::StrCat("init ", absl::Hex(flags))); }
void FakeFileSystem::Destroy() { calls.push_back("destroy"); }

Result<fuse_entry_out> FakeFileSystem::Lookup(const RequestContext& ctx, NodeId parent, absl::string_view name) {
  return RecordEntry(ctx, Call("lookup", parent, name));
}
void FakeFileSystem::Forget(NodeId node, uint64_t count) { calls.push_back(Call("forget", node, count)); }
void FakeFileSystem::TakeBack(NodeId node) { calls.push_back(Call("take-back", node)); }
Result<fuse_attr_out> FakeFileSystem::GetAttr(const RequestContext& ctx, NodeId node, std::optional<FileHandle> fh) {
  if (Errno e = Record(ctx, Call("getattr", node, fh ? absl::StrCat("fh ", fh->raw()) : "no fh")); !e.ok()) return e;
  fuse_attr_out out = {};
  out.attr.ino = node.raw();
  return out;
}
Result<fuse_attr_out> FakeFileSystem::SetAttr(const RequestContext& ctx, NodeId node, const fuse_setattr_in& in) {
  if (Errno e = Record(ctx, Call("setattr", node, in.valid, in.size)); !e.ok()) return e;
  return fuse_attr_out{};
}
Result<std::string> FakeFileSystem::ReadLink(const RequestContext& ctx, NodeId node) {
  if (Errno e = Record(ctx, Call("readlink", node)); !e.ok()) return e;
  return std::string("target");
}
Result<fuse_entry_out> FakeFileSystem::SymLink(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                               absl::string_view target) {
  return RecordEntry(ctx, Call("symlink", parent, name, target));
}
Result<fuse_entry_out> FakeFileSystem::MkNod(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                             const fuse_mknod_in& in) {
  return RecordEntry(ctx, Call("mknod", parent, name, in.mode, in.rdev, in.umask));
}
Result<fuse_entry_out> FakeFileSystem::MkDir(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                             const fuse_mkdir_in& in) {
  return RecordEntry(ctx, Call("mkdir", parent, name, in.mode, in.umask));
}
Errno FakeFileSystem::Unlink(const RequestContext& ctx, NodeId parent, absl::string_view name) {
  return Record(ctx, Call("unlink", parent, name));
}
Errno FakeFileSystem::RmDir(const RequestContext& ctx, NodeId parent, absl::string_view name) {
  return Record(ctx, Call("rmdir", parent, name));
}
Errno FakeFileSystem::Rename(const RequestContext& ctx, NodeId parent, absl::string_view name, NodeId new_parent,
                             absl::string_view new_name, uint32_t flags) {
  return Record(ctx, Call("rename", parent, name, new_parent.raw(), new_name, flags));
}
Result<fuse_entry_out> FakeFileSystem::Link(const RequestContext& ctx, NodeId node, NodeId new_parent,
                                            absl::string_view new_name) {
  return RecordEntry(ctx, Call("link", node, new_parent.raw(), new_name));
}
Result<CreateReply> FakeFileSystem::Create(const RequestContext& ctx, NodeId parent, absl::string_view name,
                                           const fuse_create_in& in) {
  const Result<fuse_entry_out> entry =
      RecordEntry(ctx, Call("create", parent, name, in.flags, in.mode, in.umask, in.open_flags));
  if (!entry.ok()) return entry.error();
  return CreateReply{*entry, {.fh = 7, .open_flags = 0, .padding = 0}};
}
Result<fuse_open_out> FakeFileSystem::Open(const RequestContext& ctx, NodeId node, const fuse_open_in& in) {
  return RecordOpen(ctx, Call("open", node, in.flags));
}
Result<size_t> FakeFileSystem::Read(const RequestContext& ctx, NodeId node, const fuse_read_in& in,
                                    memory::IovWriter* out) {
  if (Errno e = Record(ctx, Call("read", node, in.fh, in.offset, in.size)); !e.ok()) return e;
  const std::string data(in.size, fill);
  if (!out->Write(std::as_bytes(std::span(data)))) return Errno(EFAULT);
  return io_result.value_or(in.size);
}
Result<size_t> FakeFileSystem::Write(const RequestContext& ctx, NodeId node, const fuse_write_in& in,
                                     memory::IovReader* data) {
  if (Errno e = Record(ctx, Call("write", node, in.fh, in.offset, in.size)); !e.ok()) return e;
  written.resize(in.size);
  if (!data->Read(std::as_writable_bytes(std::span(written)))) return Errno(EFAULT);
  return io_result.value_or(in.size);
}
Result<fuse_kstatfs> FakeFileSystem::StatFs(const RequestContext& ctx, NodeId node) {
  if (Errno e = Record(ctx, Call("statfs", node)); !e.ok()) return e;
  fuse_kstatfs st = {};
  st.namelen = 255;
  return st;
}
Errno FakeFileSystem::Release(const RequestContext& ctx, NodeId node, const fuse_release_in& in) {
  return Record(ctx, Call("release", node, in.fh));
}
Errno FakeFileSystem::Flush(const RequestContext& ctx, NodeId node, FileHandle fh) {
  return Record(ctx, Call("flush", node, fh.raw()));
}
Errno FakeFileSystem::Fsync(const RequestContext& ctx, NodeId node, const fuse_fsync_in& in) {
  return Record(ctx, Call("fsync", node, in.fh, in.fsync_flags));
}
Result<CreateReply> FakeFileSystem::TmpFile(const RequestContext& ctx, NodeId parent, const fuse_create_in& in) {
  const Result<fuse_entry_out> entry =
      RecordEntry(ctx, Call("tmpfile", parent, in.flags, in.mode, in.umask, in.open_flags));
  if (!entry.ok()) return entry.error();
  return CreateReply{*entry, {.fh = 7, .open_flags = 0, .padding = 0}};
}
Errno FakeFileSystem::Access(const RequestContext& ctx, NodeId node, uint32_t mask) {
  return Record(ctx, Call("access", node, mask));
}
Result<std::string> FakeFileSystem::Ioctl(const RequestContext& ctx, NodeId node, const fuse_ioctl_in& in,
                                          absl::string_view input) {
  if (Errno e = Record(ctx, Call("ioctl", node, in.cmd, in.flags, in.in_size, in.out_size, input)); !e.ok()) return e;
  return ioctl_output;
}
Errno FakeFileSystem::SetXattr(const RequestContext& ctx, NodeId node, const std::string& name, absl::string_view value,
                               uint32_t flags, uint32_t setxattr_flags) {
  return Record(ctx, setxattr_flags == 0 ? Call("setxattr", node, name, value, flags)
                                         : Call("setxattr", node, name, value, flags, setxattr_flags));
}
Result<std::string> FakeFileSystem::GetXattr(const RequestContext& ctx, NodeId node, const std::string& name) {
  if (Errno e = Record(ctx, Call("getxattr", node, name)); !e.ok()) return e;
  return xattr;
}
Result<std::string> FakeFileSystem::ListXattr(const RequestContext& ctx, NodeId node) {
  if (Errno e = Record(ctx, Call("listxattr", node)); !e.ok()) return e;
  return xattr;
}
Errno FakeFileSystem::RemoveXattr(const RequestContext& ctx, NodeId node, const std::string& name) {
  return Record(ctx, Call("removexattr", node, name));
}
Result<fuse_open_out> FakeFileSystem::OpenDir(const RequestContext& ctx, NodeId node, const fuse_open_in& in) {
  return RecordOpen(ctx, Call("opendir", node, in.flags));
}
Errno FakeFileSystem::ReadDir(const RequestContext& ctx, NodeId node, const fuse_read_in& in, bool plus,
                              DirSink* sink) {
  if (Errno e = Record(ctx, Call(plus ? "readdirplus" : "readdir", node, in.fh, in.offset)); !e.ok()) return e;
  for (size_t i = in.offset; i < dir_entries.size() && sink->Fits(dir_entries[i].size()); ++i) {
    fuse_entry_out entry = {};
    entry.nodeid = next_node++;
    sink->Add(dir_entries[i], 1000 + i, 8, i + 1, plus ? &entry : nullptr);
  }
  return list_error;
}
Errno FakeFileSystem::ReleaseDir(const RequestContext& ctx, NodeId node, FileHandle fh) {
  return Record(ctx, Call("releasedir", node, fh.raw()));
}
Errno FakeFileSystem::FsyncDir(const RequestContext& ctx, NodeId node, const fuse_fsync_in& in) {
  return Record(ctx, Call("fsyncdir", node, in.fh, in.fsync_flags));
}
Errno FakeFileSystem::Fallocate(const RequestContext& ctx, NodeId node, const fuse_fallocate_in& in) {
  return Record(ctx, Call("fallocate", node, in.fh, in.offset, in.length, in.mode));
}
Result<uint64_t> FakeFileSystem::Lseek(const RequestContext& ctx, NodeId node, const fuse_lseek_in& in) {
  if (Errno e = Record(ctx, Call("lseek", node, in.fh, in.offset, in.whence)); !e.ok()) return e;
  return uint64_t{0x1'0000'0001};
}
Result<size_t> FakeFileSystem::CopyFileRange(const RequestContext& ctx, NodeId node,
                                             const fuse_copy_file_range_in& in) {
  if (Errno e = Record(ctx, Call("copy_file_range", node, in.nodeid_out, in.len)); !e.ok()) return e;
  return static_cast<size_t>(in.len);
}
Errno FakeFileSystem::SyncFs(const RequestContext& ctx, NodeId node) { return Record(ctx, Call("syncfs", node)); }

Errno FakeFileSystem::SetupMapping(const RequestContext& /*ctx*/, NodeId node, const fuse_setupmapping_in& in) {
  last_setup = in;
  calls.push_back(Call("setupmapping", node));
  return error;
}
Errno FakeFileSystem::RemoveMapping(NodeId node, std::span<const fuse_removemapping_one> entries) {
  last_removals.assign(entries.begin(), entries.end());
  calls.push_back(Call("removemapping", node, entries.size()));
  return error;
}

}  // namespace daxvmm::fuse
