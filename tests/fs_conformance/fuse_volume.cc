#include "tests/fs_conformance/fuse_volume.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include "memory/iov_cursor.h"

namespace daxvmm::conformance {
namespace {

using fuse::RequestContext;

// Like the kernel's page for READDIR, but small, so that several requests are needed.
class SmallSink : public fuse::DirSink {
 public:
  struct Entry {
    std::string name;
    uint64_t ino;
    uint32_t type;
    uint64_t next_offset;
    uint64_t node;  // 0: none
  };
  bool Fits(size_t) const override { return entries.size() < 24; }
  void Add(absl::string_view name, uint64_t ino, uint32_t type, uint64_t next_offset,
           const fuse_entry_out* entry) override {
    entries.push_back({std::string(name), ino, type, next_offset, entry != nullptr ? entry->nodeid : 0});
  }
  std::vector<Entry> entries;
};

class FuseVolume : public Volume {
 public:
  FuseVolume(fuse::FileSystem* fs, uint64_t flags) : fs_(fs), flags_(flags) {}

  void SetCaller(const Caller& caller) override {
    ctx_ = {.unique = 2, .uid = caller.uid, .gid = caller.gid, .pid = 1};
    umask_ = caller.umask;
    groups_ = caller.groups;
  }

  int Open(const std::string& path, int flags, mode_t mode, int* fd) override {
    const auto [parent, name] = Split(path);
    const Node dir(this, parent);
    if (dir.error != 0) return dir.error;
    const auto found = fs_->Lookup(ctx_, dir.id, name);
    if (found.ok() && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) {
      fs_->Forget(NodeId(found->nodeid), 1);
      return EEXIST;
    }
    OpenFile file{.flags = static_cast<uint32_t>(flags)};
    if (!found.ok()) {
      if (found.error().value() != ENOENT || (flags & O_CREAT) == 0) return found.error().value();
      fuse_create_in in = {};
      in.flags = static_cast<uint32_t>(flags);
      in.mode = S_IFREG | Masked(mode);
      in.umask = umask_;
      if (KillsPriv() && (flags & O_TRUNC) != 0) in.open_flags |= FUSE_OPEN_KILL_SUIDGID;
      const auto made = fs_->Create(MakerContext(dir.id), dir.id, name, in);
      if (!made.ok()) return made.error().value();
      file.node = NodeId(made->entry.nodeid);
      file.fh = made->open.fh;
    } else {
      file.node = NodeId(found->nodeid);
      fuse_open_in in = {};
      in.flags = static_cast<uint32_t>(flags & ~(O_CREAT | O_EXCL));
      if (KillsPriv() && (flags & O_TRUNC) != 0) in.open_flags |= FUSE_OPEN_KILL_SUIDGID;
      const auto open = fs_->Open(ctx_, file.node, in);
      if (!open.ok()) {
        fs_->Forget(file.node, 1);
        return open.error().value();
      }
      file.fh = open->fh;
    }
    *fd = next_fd_++;
    files_.emplace(*fd, file);
    return 0;
  }
  int OpenTemporary(const std::string& path, int flags, mode_t mode, int* fd) override {
    const Node dir(this, path);
    if (dir.error != 0) return dir.error;
    fuse_create_in in = {};
    in.flags = static_cast<uint32_t>(flags | O_TMPFILE);
    in.mode = S_IFREG | Masked(mode);
    in.umask = umask_;
    const auto made = fs_->TmpFile(MakerContext(dir.id), dir.id, in);
    if (!made.ok()) return made.error().value();
    *fd = next_fd_++;
    files_.emplace(
        *fd, OpenFile{.flags = static_cast<uint32_t>(flags), .node = NodeId(made->entry.nodeid), .fh = made->open.fh});
    return 0;
  }
  int Close(int fd) override {
    const OpenFile file = files_.at(fd);
    files_.erase(fd);
    const int error = fs_->Flush(ctx_, file.node, FileHandle(file.fh)).value();
    fuse_release_in in = {};
    in.fh = file.fh;
    const int released = fs_->Release(ctx_, file.node, in).value();
    fs_->Forget(file.node, 1);
    return error != 0 ? error : released;
  }
  int Read(int fd, uint64_t offset, size_t size, std::string* data) override {
    const OpenFile& file = files_.at(fd);
    data->resize(size);
    memory::IoVecs target;
    // Cut where no caller would expect it.
    const size_t cut = size / 3;
    target.iov = {{data->data(), cut}, {data->data() + cut, size - cut}};
    memory::IovWriter out(target);
    fuse_read_in in = {};
    in.fh = file.fh;
    in.offset = offset;
    in.size = static_cast<uint32_t>(size);
    const auto n = fs_->Read(ctx_, file.node, in, &out);
    data->resize(n.ok() ? *n : 0);
    return n.error().value();
  }
  int Write(int fd, uint64_t offset, const std::string& data, size_t* written) override {
    const OpenFile& file = files_.at(fd);
    std::string bytes = data;
    memory::IoVecs source;
    const size_t cut = bytes.size() / 3;
    source.iov = {{bytes.data(), cut}, {bytes.data() + cut, bytes.size() - cut}};
    memory::IovReader reader(source);
    fuse_write_in in = {};
    in.fh = file.fh;
    in.offset = offset;
    in.size = static_cast<uint32_t>(bytes.size());
    in.flags = file.flags;
    if (KillsPriv()) in.write_flags |= FUSE_WRITE_KILL_SUIDGID;
    const auto n = fs_->Write(ctx_, file.node, in, &reader);
    *written = n.ok() ? *n : 0;
    return n.error().value();
  }
  int Fsync(int fd, bool data_only) override {
    const OpenFile& file = files_.at(fd);
    fuse_fsync_in in = {};
    in.fh = file.fh;
    in.fsync_flags = data_only ? FUSE_FSYNC_FDATASYNC : 0;
    return fs_->Fsync(ctx_, file.node, in).value();
  }
  int Fallocate(int fd, int mode, uint64_t offset, uint64_t length) override {
    const OpenFile& file = files_.at(fd);
    fuse_fallocate_in in = {};
    in.fh = file.fh;
    in.mode = static_cast<uint32_t>(mode);
    in.offset = offset;
    in.length = length;
    return fs_->Fallocate(ctx_, file.node, in).value();
  }
  int Seek(int fd, uint64_t offset, int whence, uint64_t* at) override {
    const OpenFile& file = files_.at(fd);
    fuse_lseek_in in = {};
    in.fh = file.fh;
    in.offset = offset;
    in.whence = static_cast<uint32_t>(whence);
    const auto result = fs_->Lseek(ctx_, file.node, in);
    if (result.ok()) *at = *result;
    return result.error().value();
  }
  int CopyRange(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length, size_t* copied) override {
    const OpenFile& source = files_.at(from);
    const OpenFile& target = files_.at(to);
    fuse_copy_file_range_in in = {};
    in.fh_in = source.fh;
    in.off_in = from_offset;
    in.nodeid_out = target.node.raw();
    in.fh_out = target.fh;
    in.off_out = to_offset;
    in.len = length;
    const auto n = fs_->CopyFileRange(ctx_, source.node, in);
    *copied = n.ok() ? *n : 0;
    return n.error().value();
  }
  int FStat(int fd, Attributes* attributes) override {
    const OpenFile& file = files_.at(fd);
    const auto out = fs_->GetAttr(ctx_, file.node, FileHandle(file.fh));
    if (out.ok()) Fill(out->attr, attributes);
    return out.error().value();
  }
  int FTruncate(int fd, uint64_t size) override {
    fuse_setattr_in in = {};
    in.valid = FATTR_SIZE | FATTR_FH | (KillsPriv() ? FATTR_KILL_SUIDGID : 0);
    in.fh = files_.at(fd).fh;
    in.size = size;
    return Set(files_.at(fd).node, in);
  }
  int FChmod(int fd, mode_t mode) override { return Set(files_.at(fd).node, ModeRequest(mode)); }
  int FChown(int fd, uid_t uid, gid_t gid) override { return Set(files_.at(fd).node, OwnerRequest(uid, gid)); }
  int FSetTimes(int fd, timespec atime, timespec mtime) override {
    return Set(files_.at(fd).node, TimesRequest(atime, mtime));
  }
  int FSetXattr(int fd, const std::string& name, const std::string& value, int flags) override {
    return SetXattr(files_.at(fd).node, name, value, flags);
  }
  int FGetXattr(int fd, const std::string& name, std::string* value) override {
    auto result = fs_->GetXattr(ctx_, files_.at(fd).node, name);
    if (result.ok()) *value = *result;
    return result.error().value();
  }
  int LinkOpen(int fd, const std::string& to) override {
    const NodeId node = files_.at(fd).node;
    return Make(to, [&](NodeId dir, const std::string& name) { return fs_->Link(ctx_, node, dir, name); });
  }
  int GetFlags(int fd, uint32_t* flags) override {
    fuse_ioctl_in in = {};
    const NodeId node = AimIoctl(fd, &in);
    in.cmd = static_cast<uint32_t>(FS_IOC_GETFLAGS);
    in.out_size = sizeof(*flags);
    const auto out = fs_->Ioctl(ctx_, node, in, "");
    if (!out.ok()) return out.error().value();
    if ((*out).size() != sizeof(*flags)) return EBADMSG;
    memcpy(flags, (*out).data(), sizeof(*flags));
    return 0;
  }
  int SetFlags(int fd, uint32_t flags) override {
    fuse_ioctl_in in = {};
    const NodeId node = AimIoctl(fd, &in);
    in.cmd = static_cast<uint32_t>(FS_IOC_SETFLAGS);
    in.in_size = sizeof(flags);
    const std::string input(reinterpret_cast<const char*>(&flags), sizeof(flags));
    return fs_->Ioctl(ctx_, node, in, input).error().value();
  }
  int MapRead(int, uint64_t, size_t, std::string*) override { return ENOSYS; }
  int MapWrite(int, uint64_t, const std::string&) override { return ENOSYS; }
  int Flock(int, int) override { return ENOSYS; }
  int OfdLock(int, bool) override { return ENOSYS; }

  int Stat(const std::string& path, Attributes* attributes) override {
    const Node node(this, path);
    if (node.error != 0) return node.error;
    const auto out = fs_->GetAttr(ctx_, node.id, std::nullopt);
    if (out.ok()) Fill(out->attr, attributes);
    return out.error().value();
  }
  int Access(const std::string& path, int mode) override {
    const Node node(this, path);
    return node.error != 0 ? node.error : fs_->Access(ctx_, node.id, static_cast<uint32_t>(mode)).value();
  }
  int Truncate(const std::string& path, uint64_t size) override {
    fuse_setattr_in in = {};
    in.valid = FATTR_SIZE | (KillsPriv() ? FATTR_KILL_SUIDGID : 0);
    in.size = size;
    return Set(path, in);
  }
  int Chmod(const std::string& path, mode_t mode) override { return Set(path, ModeRequest(mode)); }
  int Chown(const std::string& path, uid_t uid, gid_t gid) override { return Set(path, OwnerRequest(uid, gid)); }
  int SetTimes(const std::string& path, timespec atime, timespec mtime) override {
    return Set(path, TimesRequest(atime, mtime));
  }

  int MkDir(const std::string& path, mode_t mode) override {
    fuse_mkdir_in in = {};
    in.mode = Masked(mode);
    in.umask = umask_;
    return Make(path,
                [&](NodeId dir, const std::string& name) { return fs_->MkDir(MakerContext(dir), dir, name, in); });
  }
  int MkNod(const std::string& path, mode_t mode, uint32_t major, uint32_t minor) override {
    fuse_mknod_in in = {};
    in.mode = Masked(mode);
    in.umask = umask_;
    in.rdev = (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
    return Make(path,
                [&](NodeId dir, const std::string& name) { return fs_->MkNod(MakerContext(dir), dir, name, in); });
  }
  int SymLink(const std::string& target, const std::string& path) override {
    return Make(
        path, [&](NodeId dir, const std::string& name) { return fs_->SymLink(MakerContext(dir), dir, name, target); });
  }
  int ReadLink(const std::string& path, std::string* target) override {
    const Node node(this, path);
    if (node.error != 0) return node.error;
    auto result = fs_->ReadLink(ctx_, node.id);
    if (result.ok()) *target = *result;
    return result.error().value();
  }
  int Link(const std::string& from, const std::string& to) override {
    const Node node(this, from);
    if (node.error != 0) return node.error;
    return Make(to, [&](NodeId dir, const std::string& name) { return fs_->Link(ctx_, node.id, dir, name); });
  }
  int Unlink(const std::string& path) override {
    const auto [parent, name] = Split(path);
    const Node dir(this, parent);
    return dir.error != 0 ? dir.error : fs_->Unlink(ctx_, dir.id, name).value();
  }
  int RmDir(const std::string& path) override {
    const auto [parent, name] = Split(path);
    const Node dir(this, parent);
    return dir.error != 0 ? dir.error : fs_->RmDir(ctx_, dir.id, name).value();
  }
  int Rename(const std::string& from, const std::string& to, uint32_t flags) override {
    const auto [parent, name] = Split(from);
    const auto [new_parent, new_name] = Split(to);
    const Node dir(this, parent), new_dir(this, new_parent);
    if (dir.error != 0) return dir.error;
    if (new_dir.error != 0) return new_dir.error;
    return fs_->Rename(ctx_, dir.id, name, new_dir.id, new_name, flags).value();
  }
  int OpenDir(const std::string& path, int* fd) override {
    Node dir(this, path);
    if (dir.error != 0) return dir.error;
    const auto open = fs_->OpenDir(ctx_, dir.id, {});
    if (!open.ok()) return open.error().value();
    *fd = next_fd_++;
    directories_.emplace(*fd, OpenDirectory{.node = dir.Release(), .fh = open->fh});
    return 0;
  }
  int ReadDir(int fd, uint64_t offset, std::vector<DirEntry>* entries) override {
    OpenDirectory& dir = directories_.at(fd);
    fuse_read_in in = {};
    in.fh = dir.fh;
    in.offset = offset;
    in.size = 4096;
    const bool plus = dir.plus;
    dir.plus = !plus;
    SmallSink sink;
    int error = fs_->ReadDir(ctx_, dir.node, in, plus, &sink).value();
    for (const SmallSink::Entry& entry : sink.entries) {
      if (!Agrees(dir.node, plus, entry)) error = EBADMSG;
      if (entry.node != 0) fs_->Forget(NodeId(entry.node), 1);
      entries->push_back({.name = entry.name, .ino = entry.ino, .type = entry.type, .next_offset = entry.next_offset});
    }
    return error;
  }
  int FsyncDir(int fd) override {
    fuse_fsync_in in = {};
    in.fh = directories_.at(fd).fh;
    return fs_->FsyncDir(ctx_, directories_.at(fd).node, in).value();
  }
  int CloseDir(int fd) override {
    const OpenDirectory dir = directories_.at(fd);
    directories_.erase(fd);
    const int error = fs_->ReleaseDir(ctx_, dir.node, FileHandle(dir.fh)).value();
    if (dir.node != kRootNode) fs_->Forget(dir.node, 1);
    return error;
  }

  int SetXattr(const std::string& path, const std::string& name, const std::string& value, int flags) override {
    const Node node(this, path);
    return node.error != 0 ? node.error : SetXattr(node.id, name, value, flags);
  }
  int GetXattr(const std::string& path, const std::string& name, std::string* value) override {
    const Node node(this, path);
    if (node.error != 0) return node.error;
    auto result = fs_->GetXattr(ctx_, node.id, name);
    if (result.ok()) *value = *result;
    return result.error().value();
  }
  int ListXattr(const std::string& path, std::vector<std::string>* names) override {
    const Node node(this, path);
    if (node.error != 0) return node.error;
    const auto result = fs_->ListXattr(ctx_, node.id);
    if (!result.ok()) return result.error().value();
    for (size_t at = 0; at < (*result).size(); at += names->back().size() + 1) {
      names->emplace_back((*result).c_str() + at);
    }
    return 0;
  }
  int RemoveXattr(const std::string& path, const std::string& name) override {
    const Node node(this, path);
    return node.error != 0 ? node.error : fs_->RemoveXattr(ctx_, node.id, name).value();
  }
  int StatFs(Capacity* capacity) override {
    const auto out = fs_->StatFs(ctx_, kRootNode);
    if (!out.ok()) return out.error().value();
    *capacity = {.block_size = out->bsize,
                 .blocks = out->blocks,
                 .free_blocks = out->bfree,
                 .available_blocks = out->bavail,
                 .files = out->files,
                 .free_files = out->ffree,
                 .name_max = out->namelen};
    return 0;
  }
  int Sync() override { return fs_->SyncFs(ctx_, kRootNode).value(); }

 private:
  struct OpenFile {
    uint32_t flags = 0;
    NodeId node;
    uint64_t fh = 0;
  };
  // Fills in the handle of a file or of a directory stream; its node.
  NodeId AimIoctl(int fd, fuse_ioctl_in* in) const {
    const auto dir = directories_.find(fd);
    if (dir == directories_.end()) {
      in->fh = files_.at(fd).fh;
      return files_.at(fd).node;
    }
    in->fh = dir->second.fh;
    in->flags = FUSE_IOCTL_DIR;
    return dir->second.node;
  }

  struct OpenDirectory {
    NodeId node;
    uint64_t fh = 0;
    bool plus = true;  // of the next batch
  };

  // Looks a path up and gives its reference back at the end.
  struct Node {
    Node(FuseVolume* v, const std::string& path) : volume(v) {
      for (size_t at = 0; at < path.size();) {
        const size_t slash = std::min(path.find('/', at), path.size());
        const auto found = volume->fs_->Lookup(volume->ctx_, id, path.substr(at, slash - at));
        if (id != kRootNode) volume->fs_->Forget(id, 1);
        id = found.ok() ? NodeId(found->nodeid) : kRootNode;
        error = found.error().value();
        if (error != 0) return;
        at = slash + 1;
      }
    }
    ~Node() {
      if (id != kRootNode) volume->fs_->Forget(id, 1);
    }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    // The caller's reference from now on.
    NodeId Release() { return std::exchange(id, kRootNode); }
    FuseVolume* volume;
    NodeId id = kRootNode;
    int error = 0;
  };

  static std::pair<std::string, std::string> Split(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {"", path};
    return {path.substr(0, slash), path.substr(slash + 1)};
  }
  template <typename Function>
  int Make(const std::string& path, Function make) {
    const auto [parent, name] = Split(path);
    const Node dir(this, parent);
    if (dir.error != 0) return dir.error;
    const auto entry = make(dir.id, name);
    if (entry.ok()) fs_->Forget(NodeId(entry->nodeid), 1);
    return entry.error().value();
  }
  int Set(const std::string& path, const fuse_setattr_in& in) {
    const Node node(this, path);
    return node.error != 0 ? node.error : Set(node.id, in);
  }
  int Set(NodeId node, const fuse_setattr_in& in) { return fs_->SetAttr(ctx_, node, in).error().value(); }
  static fuse_setattr_in ModeRequest(mode_t mode) {
    fuse_setattr_in in = {};
    in.valid = FATTR_MODE;
    in.mode = mode;
    return in;
  }
  static fuse_setattr_in OwnerRequest(uid_t uid, gid_t gid) {
    fuse_setattr_in in = {};
    in.valid = (uid != static_cast<uid_t>(-1) ? FATTR_UID : 0) | (gid != static_cast<gid_t>(-1) ? FATTR_GID : 0);
    in.uid = uid;
    in.gid = gid;
    return in;
  }
  static fuse_setattr_in TimesRequest(timespec atime, timespec mtime) {
    fuse_setattr_in in = {};
    if (atime.tv_nsec == UTIME_NOW) in.valid |= FATTR_ATIME | FATTR_ATIME_NOW;
    if (mtime.tv_nsec == UTIME_NOW) in.valid |= FATTR_MTIME | FATTR_MTIME_NOW;
    if (atime.tv_nsec != UTIME_NOW && atime.tv_nsec != UTIME_OMIT) {
      in.valid |= FATTR_ATIME;
      in.atime = static_cast<uint64_t>(atime.tv_sec);
      in.atimensec = static_cast<uint32_t>(atime.tv_nsec);
    }
    if (mtime.tv_nsec != UTIME_NOW && mtime.tv_nsec != UTIME_OMIT) {
      in.valid |= FATTR_MTIME;
      in.mtime = static_cast<uint64_t>(mtime.tv_sec);
      in.mtimensec = static_cast<uint32_t>(mtime.tv_nsec);
    }
    return in;
  }
  int SetXattr(NodeId node, const std::string& name, const std::string& value, int flags) {
    uint32_t more = 0;
    if (name == "system.posix_acl_access" && (flags_ & FUSE_POSIX_ACL) != 0 && ctx_.uid != 0) {
      const auto out = fs_->GetAttr(ctx_, node, std::nullopt);
      if (out.ok() && out->attr.gid != ctx_.gid) more |= FUSE_SETXATTR_ACL_KILL_SGID;
    }
    return fs_->SetXattr(ctx_, node, name, value, static_cast<uint32_t>(flags), more).value();
  }
  // For a request that makes something in `dir`.
  RequestContext MakerContext(NodeId dir) {
    RequestContext ctx = ctx_;
    if (groups_.empty() || (flags_ & fuse::kCreateSuppGroup) == 0) return ctx;
    const auto out = fs_->GetAttr(ctx_, dir, std::nullopt);
    if (out.ok() && std::count(groups_.begin(), groups_.end(), out->attr.gid) != 0) {
      ctx.supplementary_group = out->attr.gid;
    }
    return ctx;
  }
  // Linux asks the server to clear the set-id bits where the caller lacks CAP_FSETID (FUSE_HANDLE_KILLPRIV_V2).
  bool KillsPriv() const { return ctx_.uid != 0; }
  mode_t Masked(mode_t mode) const { return (flags_ & FUSE_DONT_MASK) != 0 ? mode : mode & ~umask_; }
  // Whether an entry of a listing is what LOOKUP says; one that is gone by now agrees.
  bool Agrees(NodeId dir, bool plus, const SmallSink::Entry& entry) {
    if (!plus || entry.name == "." || entry.name == "..") return entry.node == 0;
    const auto found = fs_->Lookup(ctx_, dir, entry.name);
    if (!found.ok()) return true;
    fs_->Forget(NodeId(found->nodeid), 1);
    return found->nodeid == entry.node;
  }
  static void Fill(const fuse_attr& attr, Attributes* a) {
    *a = {.ino = attr.ino,
          .size = attr.size,
          .blocks = attr.blocks,
          .mode = attr.mode,
          .nlink = attr.nlink,
          .uid = attr.uid,
          .gid = attr.gid,
          .major = (attr.rdev & 0xfff00) >> 8,
          .minor = (attr.rdev & 0xff) | ((attr.rdev >> 12) & 0xfff00),
          .atime = {static_cast<time_t>(attr.atime), attr.atimensec},
          .mtime = {static_cast<time_t>(attr.mtime), attr.mtimensec},
          .ctime = {static_cast<time_t>(attr.ctime), attr.ctimensec}};
  }

  fuse::FileSystem* const fs_;
  const uint64_t flags_;
  RequestContext ctx_ = {.unique = 2, .uid = 0, .gid = 0, .pid = 1};
  mode_t umask_ = 0;
  std::vector<gid_t> groups_;
  int next_fd_ = 3;
  std::map<int, OpenDirectory> directories_;
  std::map<int, OpenFile> files_;
};

}  // namespace

std::unique_ptr<Volume> MakeFuseVolume(fuse::FileSystem* fs, uint64_t flags) {
  return std::make_unique<FuseVolume>(fs, flags);
}

}  // namespace daxvmm::conformance
